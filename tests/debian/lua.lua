-- Strings, tables, coroutines, files and processes in Lua.
local t = {}
for w in ("the quick brown fox jumps over the lazy dog"):gmatch("%a+") do t[#t + 1] = w end
table.sort(t); print(#t, table.concat(t, ","), ("%5.2f|%x|%q"):format(math.pi, 255, "a\nb"))
local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i * i) end end) end
for v in gen(5) do io.write(v, " ") end print()
local f = assert(io.open("file", "w")); for i = 1, 1000 do f:write(i, "\n") end f:close()
local sum = 0; for line in io.lines("file") do sum = sum + tonumber(line) end print(sum)
f = io.open("file", "r+"); print(f:seek("end"), f:seek("set", 10), f:read(3), f:read("n", "l")); f:close()
print(os.rename("file", "other"), io.open("file"), os.remove("other"), os.getenv("HOME"))
local p = io.popen("echo from a process; exit 3"); print(p:read("a"), p:close())
print(os.execute("kill -9 $$"), os.time({year = 2000, month = 1, day = 1, hour = 0}), pcall(error, {1}) == false)
print(setmetatable({}, {__index = function(_, k) return k .. "!" end}).key, 2^53 | 0, 7 // 2, -7 % 3, "10" + 5, ("x"):rep(3, "-"))
local big = {} for i = 1, 200000 do big[i] = i .. "" end big = nil collectgarbage() print(collectgarbage("count") < 20000)
