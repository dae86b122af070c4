// crate: lua-src 551.1.0
// sources: lua-src/lua-5.4.9/*.c
// without: lua-src/lua-5.4.9/lua.c lua-src/lua-5.4.9/luac.c
// flags: -Ilua-src/lua-5.4.9 -DLUA_USE_POSIX -Dl_getc=getc -Dl_lockfile=(void) -Dl_unlockfile=(void) -lm
//
// macOS's getc_unlocked looks into a FILE, which is refused; getc is a function.
//
// An interpreter that runs programs of its language: closures, coroutines, patterns, errors that unwind with longjmp,
// numbers as text, sorting, files, functions in C.
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

static const char program[] =
    "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end\n"
    "print(fib(20), 7 // 2, 7 / 2, 2 ^ 0.5, 1e100, -0.0, 1 / 0, math.maxinteger + 1)\n"
    "local words = {}\n"
    "for word in ('the quick brown fox jumps over the lazy dog'):gmatch('%a+') do words[#words + 1] = word end\n"
    "table.sort(words)\n"
    "print(table.concat(words, ','), #words)\n"
    "print((('x = 12, y = 34'):gsub('(%w+) = (%d+)', '%2 is %1')))\n"
    "local lines = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i * i) end return 'end' end)\n"
    "for i = 1, 6 do io.write(tostring(lines()), ' ') end print()\n"
    "print(pcall(function() error({code = 42}) end))\n"
    "print(select(2, pcall(error, 'a message', 0)), pcall(string.rep))\n"
    "print(string.format('%5d|%-8s|%08.3f|%q|%x|%g|%a', 42, 'left', math.pi, 'q\\n\"', 255, 0.1, 0.5))\n"
    "local object = setmetatable({}, {__index = function(_, key) return key .. '!' end, __call = function(_, x) return x + 1 end,\n"
    "                                 __close = function() print('closed') end, __lt = function() return true end})\n"
    "do local closed <close> = object print(object.name, object(41), object < object) end\n"
    "local file = assert(io.open('lua.txt', 'w')) file:write('one\\n', 2, '\\n', 3.5, '\\n') file:close()\n"
    "for line in io.lines('lua.txt') do io.write('[', line, ']') end print()\n"
    "local f = io.open('lua.txt') print(f:read('l', 'n', 'n')) print(f:seek('set', 2), f:read('a')) f:close() os.remove('lua.txt')\n"
    "print(io.open('lua.txt'))\n"
    "print(utf8.char(228, 8364, 128512), utf8.len('äöü'), ('äöü'):byte(1, -1))\n"
    "print(os.date('!%Y-%m-%d %H:%M:%S', 86400 * 365), os.time({year = 2001, month = 9, day = 9, hour = 12}) > 0)\n"
    "print(string.pack('<i4 z s1', -2, 'zero', 'counted'):byte(1, -1))\n"
    "local sum = 0 for i = 1, 200000 do sum = sum + (i % 7) * 0.5 end print(sum)\n"
    "local keep = {} for i = 1, 20000 do keep[i % 100] = {i, tostring(i)} end collectgarbage() print(keep[7][2])\n"
    "print(twice(21), pcall(twice, {}))\n"
    "print(load('return 1 +'))\n"
    "print(require and package.config:sub(1, 1), tostring(print):match('^builtin') or tostring(print):match('^function'))\n";

static int twice(lua_State *state) {
    lua_pushinteger(state, 2 * luaL_checkinteger(state, 1));
    return 1;
}

int main(void) {
    lua_State *state = luaL_newstate();
    if (!state) return 1;
    luaL_openlibs(state);
    lua_register(state, "twice", twice);
    // Addresses in messages are others in each process.
    if (luaL_dostring(state, "local plain = tostring function tostring(x) return (plain(x):gsub('0x%x+', 'ADDRESS')) end\n"
                             "local write = io.write\n"
                             "function print(...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end\n"
                             "write(table.concat(t, '\\t'), '\\n') end"))
        return 2;
    if (luaL_dostring(state, program)) {
        printf("failed: %s\n", lua_tostring(state, -1));
        return 3;
    }
    lua_close(state);
    return 0;
}
