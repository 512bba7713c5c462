//! MessagePack, read in place and written. Whatever the bytes are, reading them ends, stays within
//! them, and takes no more stack than `max_depth` levels need.

const std = @import("std");

pub const max_depth = 64;
pub const Error = error{Malformed};

/// One value, or the beginning of an array or map: how many items follow it.
pub const Head = union(enum) {
    nil,
    boolean: bool,
    integer: i128,
    float: f64,
    text: []const u8,
    binary: []const u8,
    array: u32,
    map: u32,

    pub fn asInteger(self: Head) ?i128 {
        return if (self == .integer) self.integer else null;
    }
};

pub const Reader = struct {
    data: []const u8,
    at: usize = 0,

    pub fn take(self: *Reader, size: usize) Error![]const u8 {
        if (size > self.data.len - self.at) return error.Malformed;
        defer self.at += size;
        return self.data[self.at..][0..size];
    }

    fn number(self: *Reader, comptime T: type) Error!T {
        const bytes = try self.take(@sizeOf(T));
        return std.mem.readInt(T, bytes[0..@sizeOf(T)], .big);
    }

    pub fn head(self: *Reader) Error!Head {
        const tag = try self.number(u8);
        return switch (tag) {
            0x00...0x7f => .{ .integer = tag },
            0x80...0x8f => .{ .map = tag & 15 },
            0x90...0x9f => .{ .array = tag & 15 },
            0xa0...0xbf => .{ .text = try self.take(tag & 31) },
            0xc0 => .nil,
            0xc2, 0xc3 => .{ .boolean = tag == 0xc3 },
            0xc4 => .{ .binary = try self.take(try self.number(u8)) },
            0xc5 => .{ .binary = try self.take(try self.number(u16)) },
            0xc6 => .{ .binary = try self.take(try self.number(u32)) },
            0xca => .{ .float = @as(f32, @bitCast(try self.number(u32))) },
            0xcb => .{ .float = @bitCast(try self.number(u64)) },
            0xcc => .{ .integer = try self.number(u8) },
            0xcd => .{ .integer = try self.number(u16) },
            0xce => .{ .integer = try self.number(u32) },
            0xcf => .{ .integer = try self.number(u64) },
            0xd0 => .{ .integer = try self.number(i8) },
            0xd1 => .{ .integer = try self.number(i16) },
            0xd2 => .{ .integer = try self.number(i32) },
            0xd3 => .{ .integer = try self.number(i64) },
            0xd9 => .{ .text = try self.take(try self.number(u8)) },
            0xda => .{ .text = try self.take(try self.number(u16)) },
            0xdb => .{ .text = try self.take(try self.number(u32)) },
            0xdc => .{ .array = try self.number(u16) },
            0xdd => .{ .array = try self.number(u32) },
            0xde => .{ .map = try self.number(u16) },
            0xdf => .{ .map = try self.number(u32) },
            0xe0...0xff => .{ .integer = @as(i128, tag) - 256 },
            else => error.Malformed, // extension types, and what was never used
        };
    }

    /// Passes one value, whatever is in it.
    pub fn skip(self: *Reader) Error!void {
        var left: u64 = 1;
        while (left > 0) : (left -= 1) {
            switch (try self.head()) {
                .array => |count| left += count,
                .map => |count| left += 2 * @as(u64, count),
                else => {},
            }
        }
    }

    /// Passes one value and gives its bytes, once it is known to nest no deeper than it may, to
    /// have texts for its keys, and UTF-8 for its texts.
    pub fn checked(self: *Reader) Error![]const u8 {
        const start = self.at;
        var left: [max_depth]u64 = undefined;
        var keyed: [max_depth]bool = undefined;
        var depth: usize = 0;
        while (true) {
            const is_key = depth > 0 and keyed[depth - 1] and left[depth - 1] % 2 == 0;
            const one = try self.head();
            if (is_key and one != .text) return error.Malformed;
            if (one == .text and !std.unicode.utf8ValidateSlice(one.text)) return error.Malformed;
            switch (one) {
                .array, .map => |count| {
                    if (depth == max_depth) return error.Malformed;
                    keyed[depth] = one == .map;
                    left[depth] = @as(u64, count) * (if (one == .map) @as(u64, 2) else 1);
                    depth += 1;
                },
                else => {
                    if (depth == 0) return self.data[start..self.at];
                    left[depth - 1] -= 1;
                },
            }
            while (left[depth - 1] == 0) {
                depth -= 1;
                if (depth == 0) return self.data[start..self.at];
                left[depth - 1] -= 1;
            }
        }
    }

    pub fn map(self: *Reader) Error!u32 {
        return switch (try self.head()) {
            .map => |count| count,
            else => error.Malformed,
        };
    }

    pub fn array(self: *Reader) Error!u32 {
        return switch (try self.head()) {
            .array => |count| count,
            else => error.Malformed,
        };
    }

    pub fn text(self: *Reader) Error![]const u8 {
        return switch (try self.head()) {
            .text => |found| found,
            else => error.Malformed,
        };
    }

    pub fn binary(self: *Reader) Error![]const u8 {
        return switch (try self.head()) {
            .binary => |found| found,
            else => error.Malformed,
        };
    }

    /// The value of a key, if this is at a map that has it.
    pub fn field(self: Reader, key: []const u8) Error!?Reader {
        var reader = self;
        const count = switch (try reader.head()) {
            .map => |count| count,
            else => return null,
        };
        for (0..count) |_| {
            if (std.mem.eql(u8, try reader.text(), key)) return reader;
            try reader.skip();
        }
        return null;
    }
};

/// Writes a document. The longest of each kind of head is enough for all.
pub const Writer = struct {
    gpa: std.mem.Allocator,
    out: std.ArrayList(u8) = .empty,

    pub fn raw(self: *Writer, bytes: []const u8) error{OutOfMemory}!void {
        try self.out.appendSlice(self.gpa, bytes);
    }

    fn number(self: *Writer, tag: u8, comptime T: type, value: T) error{OutOfMemory}!void {
        var bytes: [1 + @sizeOf(T)]u8 = undefined;
        bytes[0] = tag;
        std.mem.writeInt(T, bytes[1..], value, .big);
        try self.raw(&bytes);
    }

    pub fn map(self: *Writer, count: u32) error{OutOfMemory}!void {
        try self.number(0xdf, u32, count);
    }

    pub fn array(self: *Writer, count: u32) error{OutOfMemory}!void {
        try self.number(0xdd, u32, count);
    }

    pub fn text(self: *Writer, value: []const u8) error{OutOfMemory}!void {
        if (value.len < 32) {
            try self.raw(&.{0xa0 | @as(u8, @intCast(value.len))});
        } else {
            try self.number(0xdb, u32, @intCast(value.len));
        }
        try self.raw(value);
    }

    pub fn unsigned(self: *Writer, value: u64) error{OutOfMemory}!void {
        try self.number(0xcf, u64, value);
    }

    pub fn float(self: *Writer, value: f64) error{OutOfMemory}!void {
        try self.number(0xcb, u64, @bitCast(value));
    }

    pub fn boolean(self: *Writer, value: bool) error{OutOfMemory}!void {
        try self.raw(&.{if (value) 0xc3 else 0xc2});
    }

    pub fn nil(self: *Writer) error{OutOfMemory}!void {
        try self.raw(&.{0xc0});
    }
};
