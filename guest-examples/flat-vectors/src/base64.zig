//! Base64 (RFC 4648 section 4, padded), sixteen characters at a time.

const Bytes = @Vector(16, u8);
const Words = @Vector(4, u32);

pub fn encodedSize(size: usize) usize {
    return (size + 2) / 3 * 4;
}

/// Decodes `text` in its own place; gives the part of it that holds the bytes.
pub fn decodeInPlace(text: []u8) error{Invalid}![]u8 {
    if (text.len == 0) return text;
    if (text.len % 4 != 0) return error.Invalid;
    const padding: usize = if (text[text.len - 1] != '=') 0 else if (text[text.len - 2] != '=') 1 else 2;
    var from: usize = 0;
    var to: usize = 0;
    // What is written ends where the next read begins, or before.
    while (from + 16 < text.len) : (from += 16) {
        const six = try sixBits(text[from..][0..16].*);
        const x: Words = @bitCast(six);
        const low: Words = @splat(0xff);
        const t = ((x & low) << @splat(18)) | (((x >> @splat(8)) & low) << @splat(12)) |
            (((x >> @splat(16)) & low) << @splat(6)) | (x >> @splat(24));
        const order = @Vector(16, i32){ 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 3, 7, 11, 15 };
        text[to..][0..16].* = @shuffle(u8, @as(Bytes, @bitCast(t)), undefined, order);
        to += 12;
    }
    while (from < text.len) : (from += 4) {
        const last = from + 4 == text.len;
        var t: u32 = 0;
        for (text[from..][0..4], 0..) |c, i| {
            const is_padding = last and i >= 4 - padding;
            t = t << 6 | (if (is_padding) 0 else try sixBitsOf(c));
        }
        const size: usize = if (last) 3 - padding else 3;
        for (0..size) |i| text[to + i] = @truncate(t >> @intCast(16 - 8 * i));
        to += size;
    }
    return text[0..to];
}

/// The values of sixteen characters.
fn sixBits(c: Bytes) error{Invalid}!Bytes {
    const none: Bytes = @splat(0xff);
    var six = none;
    six = @select(u8, between(c, 'A', 'Z'), c -% @as(Bytes, @splat('A')), six);
    six = @select(u8, between(c, 'a', 'z'), c -% @as(Bytes, @splat('a' - 26)), six);
    six = @select(u8, between(c, '0', '9'), c +% @as(Bytes, @splat(52 - '0')), six);
    six = @select(u8, c == @as(Bytes, @splat('+')), @as(Bytes, @splat(62)), six);
    six = @select(u8, c == @as(Bytes, @splat('/')), @as(Bytes, @splat(63)), six);
    if (@reduce(.Or, six) & 0xc0 != 0) return error.Invalid;
    return six;
}

fn between(c: Bytes, comptime first: u8, comptime last: u8) @Vector(16, bool) {
    return c -% @as(Bytes, @splat(first)) <= @as(Bytes, @splat(last - first));
}

fn sixBitsOf(c: u8) error{Invalid}!u32 {
    return switch (c) {
        'A'...'Z' => c - 'A',
        'a'...'z' => c - 'a' + 26,
        '0'...'9' => c - '0' + 52,
        '+' => 62,
        '/' => 63,
        else => error.Invalid,
    };
}

/// Writes the text of `bytes`, which takes `encodedSize` characters of `out`.
pub fn encode(out: []u8, bytes: []const u8) void {
    var from: usize = 0;
    var to: usize = 0;
    // Each step reads sixteen bytes and uses twelve.
    while (from + 16 <= bytes.len) : (from += 12) {
        const read: Bytes = bytes[from..][0..16].*;
        const order = @Vector(16, i32){ 2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9, -1 };
        const t: Words = @bitCast(@shuffle(u8, read, @as(Bytes, @splat(0)), order));
        const low: Words = @splat(63);
        const x = (t >> @splat(18)) | (((t >> @splat(12)) & low) << @splat(8)) |
            (((t >> @splat(6)) & low) << @splat(16)) | ((t & low) << @splat(24));
        const six: Bytes = @bitCast(x);
        var c = six +% @as(Bytes, @splat('A'));
        c = @select(u8, six > @as(Bytes, @splat(25)), six +% @as(Bytes, @splat('a' - 26)), c);
        c = @select(u8, six > @as(Bytes, @splat(51)), six -% @as(Bytes, @splat(52 - '0')), c);
        c = @select(u8, six == @as(Bytes, @splat(62)), @as(Bytes, @splat('+')), c);
        c = @select(u8, six == @as(Bytes, @splat(63)), @as(Bytes, @splat('/')), c);
        out[to..][0..16].* = c;
        to += 16;
    }
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (from < bytes.len) : (from += 3) {
        const rest = bytes[from..@min(from + 3, bytes.len)];
        var t: u32 = 0;
        for (0..3) |i| t = t << 8 | (if (i < rest.len) rest[i] else 0);
        for (0..4) |i| {
            out[to + i] = if (i > rest.len) '=' else alphabet[(t >> @intCast(18 - 6 * i)) & 63];
        }
        to += 4;
    }
}
