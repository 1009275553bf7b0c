-- Small programs: sieve, matrix product, queens, string building, a parser, sorting, n-body, hashing.
local function sieve(n) local composite, count = {}, 0 for i = 2, n do if not composite[i] then count = count + 1 for j = i * i, n, i do composite[j] = true end end end return count end
print("primes", sieve(60000))
local function matrix(n, seed) local m = {} for i = 1, n do m[i] = {} for j = 1, n do seed = (seed * 1103515245 + 12345) % 2147483648 m[i][j] = seed / 2147483648 end end return m end
local function product(a, b) local n, c = #a, {} for i = 1, n do local row = {} for j = 1, n do local s = 0.0 for k = 1, n do s = s + a[i][k] * b[k][j] end row[j] = s end c[i] = row end return c end
local c = product(matrix(50, 1), matrix(50, 2)) local trace = 0 for i = 1, 50 do trace = trace + c[i][i] end
print("matrix", trace)
local function queens(n) local found, cols, up, down = 0, {}, {}, {} local function place(r) if r > n then found = found + 1 return end for k = 1, n do if not (cols[k] or up[r + k] or down[r - k + n]) then cols[k], up[r + k], down[r - k + n] = true, true, true place(r + 1) cols[k], up[r + k], down[r - k + n] = nil, nil, nil end end end place(1) return found end
print("queens", queens(7))
local pieces = {} for i = 1, 4000 do pieces[#pieces + 1] = string.format("%d:%x:%s", i, i * i, ("ab"):rep(i % 5)) end
local text = table.concat(pieces, ",") local h = 5381 for i = 1, #text do h = (h * 33 ~ text:byte(i)) & 0xffffffff end
print("hash", #text, h, select(2, text:gsub("%d+", "")))
local function parse(source)
    local at = 1
    local expression
    local function blank() at = source:find("%S", at) or #source + 1 end
    local function atom() blank() local number = source:match("^%d+%.?%d*", at) if number then at = at + #number return tonumber(number) end
        if source:sub(at, at) == "(" then at = at + 1 local v = expression() blank() assert(source:sub(at, at) == ")", "expected )") at = at + 1 return v end
        if source:sub(at, at) == "-" then at = at + 1 return -atom() end error("unexpected " .. source:sub(at, at)) end
    local function term() local v = atom() while true do blank() local op = source:sub(at, at) if op == "*" then at = at + 1 v = v * atom() elseif op == "/" then at = at + 1 v = v / atom() else return v end end end
    function expression() local v = term() while true do blank() local op = source:sub(at, at) if op == "+" then at = at + 1 v = v + term() elseif op == "-" then at = at + 1 v = v - term() else return v end end end
    return expression()
end
for _, source in ipairs { "1 + 2 * 3", "(1 + 2) * 3 - -4 / 8", "2 * (3 + 4) * 5", "1 + )", "((7))" } do print("parse", pcall(parse, source)) end
local words = {} for w in ([[the quick brown fox jumps over the lazy dog and the quick cat naps while the dog runs]]):gmatch("%a+") do words[w] = (words[w] or 0) + 1 end
local order = {} for w in pairs(words) do order[#order + 1] = w end table.sort(order, function(p, q) return words[p] > words[q] or words[p] == words[q] and p < q end)
for i = 1, 5 do io.write(order[i], "=", words[order[i]], " ") end print()
local bodies = { { 0, 0, 0, 0, 0, 0, 39.478 }, { 4.84, -1.16, -0.10, 0.606, 2.81, -0.02, 0.0377 }, { 8.34, 4.12, -0.4, -1.01, 1.82, 0.008, 0.0113 } }
for s = 1, 3000 do for i = 1, #bodies do local p = bodies[i] for j = i + 1, #bodies do local q = bodies[j] local dx, dy, dz = p[1] - q[1], p[2] - q[2], p[3] - q[3] local d2 = dx * dx + dy * dy + dz * dz local mag = 0.01 / (d2 * math.sqrt(d2)) p[4], p[5], p[6] = p[4] - dx * q[7] * mag, p[5] - dy * q[7] * mag, p[6] - dz * q[7] * mag q[4], q[5], q[6] = q[4] + dx * p[7] * mag, q[5] + dy * p[7] * mag, q[6] + dz * p[7] * mag end end for i = 1, #bodies do local p = bodies[i] for k = 1, 3 do p[k] = p[k] + 0.01 * p[k + 3] end end end
print(string.format("bodies %.12f %.12f", bodies[2][1], bodies[3][2]))
local tree = nil local function insert(t, k) if not t then return { k } end if k < t[1] then t[2] = insert(t[2], k) elseif k > t[1] then t[3] = insert(t[3], k) end return t end
local x = 1 for i = 1, 4000 do x = (x * 16807) % 2147483647 tree = insert(tree, x % 10000) end
local size, height = 0, 0 local function walk(t, d) if t then size = size + 1 height = math.max(height, d) walk(t[2], d + 1) walk(t[3], d + 1) end end walk(tree, 1) print("tree", size, height)
local function ackermann(m, n) if m == 0 then return n + 1 elseif n == 0 then return ackermann(m - 1, 1) else return ackermann(m - 1, ackermann(m, n - 1)) end end print("ackermann", ackermann(2, 60))
