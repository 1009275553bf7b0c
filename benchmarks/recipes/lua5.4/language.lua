-- Statements, scopes, closures, metatables, goto, integer and float arithmetic.
local function show(...) print(string.format(...)) end

-- integers and floats
print(1 // 0.0, -1 // 0.0, 0.0 / 0.0 ~= 0.0 / 0.0, 7 // -2, -7 // 2, 7 % -3, -7 % 3, 7.5 % -2, -7.5 % 2)
print(math.maxinteger + 1 == math.mininteger, math.mininteger // -1, math.maxinteger * 2)
print(1e15, 1e16, 2^53, 2^63, 10 / 2, 3 | 4, 7 & ~2, 1 << 62, 1 << 64, -1 >> 60, 5 ~ 3)
print(0x7fffffffffffffff, 0xffffffffffffffff, 0x1p-2, 0xA.8p1, 1e308 * 10, -1e308 * 10)
print("10" + 5, "0x10" * 2, 10 .. 20, "3.5" // 1, 2^0.5, 100 // 1e-3)
print(pcall(function() return 1 // 0 end))
print(pcall(function() return 1 % 0 end))
print(pcall(function() return 1.5 | 1 end))
print(math.type(3), math.type(3.0), math.type("3"), 3 == 3.0, math.tointeger(3.0), math.tointeger(3.5), math.ult(-1, 1))
for _, text in ipairs { "0x", "1e", " 12 ", "1e+10", "0x1.8p3", "nan", "inf", "1 2", "", "9223372036854775808" } do
    io.write(tostring(tonumber(text)), " ")
end
print()
print(tonumber("zz", 36), tonumber("1010", 2), tonumber("8", 8), tonumber("-ff", 16))

-- loops, goto, numeric for at the ends of the range
local count = 0
for i = math.maxinteger - 2, math.maxinteger do count = count + 1 end
for i = math.mininteger, math.mininteger + 2 do count = count + 1 end
for i = 1, 3 do for j = 1, 3 do if j == 2 then goto continue end count = count + i * j ::continue:: end end
for x = 1.0, 0.0, -0.25 do count = count + x end
print(count)
do local i = 1 ::top:: if i <= 3 then io.write(i, ";") i = i + 1 goto top end print() end
repeat local stop = count > 0 until stop

-- closures and upvalues
local adders = {}
for i = 1, 5 do adders[i] = function(n) i = i + n return i end end
print(adders[1](10), adders[1](10), adders[2](1), adders[5](0))
local function counter() local n = 0 return function() n = n + 1 return n end, function() return n end end
local step, get = counter() step() step() print(get())
local function variadic(...) local a, b = ... return select("#", ...), a, b, ... end
print(variadic(1, nil, 3, nil))
print((variadic(1, 2)))
print(table.unpack({ 1, 2, 3 }, 2), select(-1, 1, 2, 3))
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(fib(24))
local function loop(n, acc) if n == 0 then return acc end return loop(n - 1, acc + n) end
print(loop(100000, 0))

-- metatables
local Vector = {}
Vector.__index = Vector
local function new(x, y) return setmetatable({ x = x, y = y }, Vector) end
for name, operation in pairs { add = function(a, b) return a + b end, sub = function(a, b) return a - b end,
    mul = function(a, b) return a * b end, div = function(a, b) return a / b end, mod = function(a, b) return a % b end,
    idiv = function(a, b) return a // b end, pow = function(a, b) return a ^ b end } do
    Vector["__" .. name] = function(a, b) return new(operation(a.x, b.x), operation(a.y, b.y)) end
end
Vector.__eq = function(a, b) return a.x == b.x and a.y == b.y end
Vector.__lt = function(a, b) return a.x < b.x end
Vector.__le = function(a, b) return a.x <= b.x end
Vector.__unm = function(a) return new(-a.x, -a.y) end
Vector.__len = function(a) return 2 end
Vector.__call = function(self, k) return self.x * k end
Vector.__concat = function(a, b) return tostring(a) .. tostring(b) end
Vector.__tostring = function(a) return "(" .. a.x .. "," .. a.y .. ")" end
Vector.__band = function(a, b) return a.x & b.x end
Vector.__shl = function(a, b) return a.x << b end
local a, b = new(7, 8), new(2, 3)
print(a + b, a - b, a * b, a / b, a % b, a // b, a ^ b, -a, #a, a(5), a .. b, a == new(7, 8), a < b, a <= b, a & b, a << 2)
local defaults = setmetatable({}, { __index = function(t, k) return k .. "!" end, __newindex = function(t, k, v) rawset(t, k, v * 2) end })
defaults.p = 4
print(defaults.p, defaults.q, rawget(defaults, "q"), rawlen({ 1, 2 }), rawequal(a, a))
local closed = {}
do
    local one <close> = setmetatable({}, { __close = function(_, e) closed[#closed + 1] = "one:" .. tostring(e) end })
    local two <const> = 5
    local three <close> = setmetatable({}, { __close = function() closed[#closed + 1] = "three" end })
end
print(pcall(function()
    local x <close> = setmetatable({}, { __close = function(_, e) closed[#closed + 1] = tostring(e) end })
    error("thrown", 0)
end))
print(table.concat(closed, " "))

-- errors
print(pcall(error, { code = 5 }))
print(select(2, pcall(error, "message", 0)), select(2, pcall(error, "message", 1)), select(2, pcall(error, "message", 2)))
print(xpcall(function() local t = nil; return t.x end, function(m) return "handled: " .. m end))
print(pcall(function() return {} < {} end))
print(pcall(function() return #5 end))
print(pcall(function() return ("x")() end))
print(pcall(string.rep, "x", -1))
print(pcall(string.rep))
print(select("#", pcall(assert, false)), pcall(assert, nil, "why"))
local function deep(n) return deep(n + 1) + 1 end
local ok, message = pcall(deep, 1)
print(ok, (message:gsub(":.*", "")))
print(xpcall(function() error(setmetatable({}, { __tostring = function() return "object" end })) end, tostring))

-- load, environments
print(load("return 1 + ...")(41), load("syntax error here"))
local env = { print = print }
local chunk = load("x = 5; return x", "chunk", "t", env)
print(chunk(), env.x, x)
local parts = { "return ", "1", "+2", nil }
local at = 0
print(load(function() at = at + 1 return parts[at] end)())
print(#string.dump(function(p) return p + 1 end) > 20, load(string.dump(function(p) return p + 1 end))(9))
