-- string, table, math, utf8, os, io, coroutine, debug.
-- string
print(("hello world from Lua"):find("(%w+) (%w+)"))
print(("key = value; other=thing"):gsub("(%w+)%s*=%s*(%w+)", "%2=%1"))
print(("abc"):gsub("", "-"), ("hello"):gsub("l", { l = "L" }), ("hello"):gsub(".", function(c) return c:byte() % 2 == 0 and c:upper() end))
print(("THE (quick) fox"):find("%((%a+)%)"), ("x^y"):gsub("%^", "**"), ("[[nested]]"):match("%b[]"), ("THE fox"):match("%f[%a]%a+", 4))
for k, v in ("a=1, b=22, c=333"):gmatch("(%w+)=(%w+)") do io.write(k, v, " ") end print()
print(("%5d|%-5d|%05d|%+d|%x|%X|%#x|%o|%c|%s|%q|%10.3s|%%"):format(42, 42, 42, 42, 255, 255, 255, 8, 65, "text", 'q"\n\0', "abcdef"))
print(("%e %.3f %g %g %a %10.2f|%-10.2f|%i"):format(12345.678, 1 / 3, 1e20, 0.1, 0.5, math.pi, -math.pi, 3))
print(("%q"):format(1 / 3), ("%q"):format(math.mininteger), ("%q"):format(0 / 0) == "(0/0)")
print(("x"):rep(5, ","), ("abc"):reverse(), ("AbC"):lower(), ("AbC"):upper(), #"\u{20AC}\x41\65\z
    end", ("abc"):byte(1, -1))
print(string.pack("<i4 >i2 z s1 d", 100000, -2, "zero", "len", 1.5):byte(1, -1))
print(string.unpack("<i4 >i2 z s1 d", string.pack("<i4 >i2 z s1 d", 100000, -2, "zero", "len", 1.5)))
print(string.packsize("i4 i8 d !8 i1 i8"), pcall(string.pack, "i1", 300))
print(("a,b,,c"):find(",", 1, true), ("a.b"):find(".", 2, true), ("aaa"):find("a-", 2), ("  trim  "):match("^%s*(.-)%s*$") .. "|")
print(("x = 10"):match("^(%w+)%s*=%s*(%d+)$"), ("2024-01-15"):match("(%d+)-(%d+)-(%d+)"), ("abc"):match("()b()"))
print(pcall(string.gsub, "x", "(", ""), pcall(string.rep, "x", 1 << 60))
-- table
local list = {}
for i = 1, 200 do list[i] = (i * 7919) % 1009 end
table.sort(list) print(table.concat(list, " ", 1, 12))
table.sort(list, function(p, q) return p > q end) print(table.concat(list, " ", 1, 12))
print(pcall(table.sort, { 3, 1, "x" }))
table.insert(list, 1, -1) table.insert(list, -2) print(#list, list[1], list[#list], table.remove(list), table.remove(list, 1), #list)
print(table.concat(table.move({ 1, 2, 3, 4 }, 2, 4, 1), ","), table.pack(1, nil, 3).n, table.unpack({ 1, 2, 3 }, -1, 1))
local sparse = { [1] = 1, [2] = 2, [4] = 4, [1.5] = "f", [-3] = "n", s = true, [2^53] = "big" }
local keys = {} for k in pairs(sparse) do keys[#keys + 1] = tostring(k) end table.sort(keys) print(table.concat(keys, " "))
local grow = {} for i = 1, 3000 do grow[i % 611] = (grow[i % 611] or 0) + i; if i % 3 == 0 then grow[i // 3] = nil end end
local sum = 0 for k, v in pairs(grow) do sum = sum + k * v end print(sum, next({}), type(next))
-- math
print(math.abs(-5), math.ceil(1.2), math.floor(-1.2), math.max(1, 5, 3), math.min(2.5, 1), math.fmod(7, -3), math.fmod(-7.5, 2), math.sqrt(2), math.pi)
print(math.sin(1), math.cos(1), math.tan(1), math.asin(0.5), math.acos(0.5), math.atan(1, -1), math.exp(1), math.log(10), math.log(8, 2), math.log(1000, 10), math.modf(3.7), math.modf(-1 / 0))
math.randomseed(42, 7) local r = {} for i = 1, 8 do r[i] = math.random(1, 1000) end print(table.concat(r, " "), math.random(), math.random(0), math.random(5))
print(math.huge, -math.huge, math.floor(2^31 + 0.5), math.tointeger("8"), pcall(math.random, 2, 1))
-- utf8
print(utf8.char(72, 228, 8364, 128512), utf8.len("häß€"), utf8.codepoint("h€", 1, -1), utf8.offset("a€b", 3), utf8.len("\xff"))
for p, c in utf8.codes("aé€") do io.write(p, ":", c, " ") end print()
-- os, io
print(os.time { year = 2020, month = 2, day = 29, hour = 12 }, os.date("!%Y-%m-%d %H:%M:%S", 86400 * 365), os.getenv("NO_SUCH_VARIABLE"), os.tmpname and true)
print(os.date("!*t", 1e9).yday, os.difftime(10, 4), pcall(os.date, "%Ez", 0))
local name = "io.test"
local file <close> = assert(io.open(name, "w+"))
print(file:write("first line\n", 42, " ", 3.5, "\nthird\n\nlast"), file:seek("set", 0))
print(file:read("l", "n", "n", "L", "l", "a", "l"))
print(file:seek("end"), file:seek("set", 3), file:read(4), file:setvbuf("full", 64), io.type(file), io.type(5))
for line in io.lines(name) do io.write("[", line, "]") end print()
for p, q in io.lines(name, 1, "l") do io.write("<", p, q or "-", ">") end print()
print(io.open("/no/such/file"), pcall(io.lines, "/no/such/file"))
print(os.rename(name, name .. ".2"), os.remove(name .. ".2"), os.remove(name .. ".2"))
local pipe = io.popen("echo from a pipe", "r") print(pipe:read("a"), pipe:close())
print(os.execute("exit 3"), os.execute())
-- coroutines
local function generate(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i, i * i) end return "end" end) end
for i, square in generate(3) do io.write(i, "=", tostring(square), " ") if i == "end" then break end end print()
local co = coroutine.create(function(p, q) local r1 = coroutine.yield(p + q) local r2, r3 = coroutine.yield(r1 * 2) error("inside " .. r2 + r3) end)
print(coroutine.resume(co, 1, 2)) print(coroutine.resume(co, 10)) print(coroutine.status(co)) print(coroutine.resume(co, 3, 4)) print(coroutine.status(co), coroutine.resume(co))
print(coroutine.isyieldable(), coroutine.running())
local closing = coroutine.create(function() local c <close> = setmetatable({}, { __close = function() print("closed") end }) coroutine.yield() end)
coroutine.resume(closing) print(coroutine.close(closing), coroutine.status(closing))
print(pcall(coroutine.wrap(function() return pcall(function() coroutine.yield(1) error("after") end) end)))
local function permute(a, n) n = n or #a if n <= 1 then coroutine.yield(table.concat(a)) else for i = 1, n do a[n], a[i] = a[i], a[n] permute(a, n - 1) a[n], a[i] = a[i], a[n] end end end
local all = {} for p in coroutine.wrap(function() permute { "a", "b", "c", "d" } end) do all[#all + 1] = p end print(#all, table.concat(all, " "))
print(select(2, coroutine.resume(coroutine.create(function() return table.sort({ 3, 2, 1 }, function(x, y) coroutine.yield() end) end))))
-- debug
local function probe(a, b) local c = a + b local info = debug.getinfo(1, "nSlu") return info.name, info.what, info.currentline, info.nparams, debug.getlocal(1, 3) end
print(probe(1, 2))
local lines = 0 debug.sethook(function() lines = lines + 1 end, "l") local z = 1
z = z + 1
debug.sethook() print(lines, debug.gethook())
print((debug.traceback("trace", 1):gsub("0x%x+", "ADDRESS")))
print(debug.getupvalue(probe, 1), debug.getmetatable("").__index == string, debug.setmetatable(5, nil))
-- collector
collectgarbage() local weak = setmetatable({}, { __mode = "k" }) for i = 1, 10 do weak[{}] = i end collectgarbage() print(next(weak))
local finalized = 0 for i = 1, 50 do setmetatable({}, { __gc = function() finalized = finalized + 1 end }) end collectgarbage() collectgarbage() print(finalized)
print(collectgarbage("generational"), collectgarbage("incremental", 100, 200), collectgarbage("step"), collectgarbage("isrunning"), collectgarbage("count") > 0)
