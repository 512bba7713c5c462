//! Which items a query may find: `VectorQueryFilter` and `FieldCondition` of the SDK, whose words
//! say what each operator means. Metadata stays MessagePack and is read in place.

const std = @import("std");
const msgpack = @import("msgpack.zig");
const Head = msgpack.Head;
const Reader = msgpack.Reader;

const Operator = enum { eq, ne, lt, lte, gt, gte, in, not_in, contains, exists };

const Condition = struct {
    field: []const u8,
    op: Operator,
    value: Reader,

    fn read(reader: *Reader) msgpack.Error!Condition {
        var made = Condition{ .field = "", .op = .exists, .value = .{ .data = &.{0xc3} } };
        for (0..try reader.map()) |_| {
            const key = try reader.text();
            if (std.mem.eql(u8, key, "field")) {
                made.field = try reader.text();
            } else if (std.mem.eql(u8, key, "op")) {
                made.op = std.meta.stringToEnum(Operator, try reader.text()) orelse return error.Malformed;
            } else if (std.mem.eql(u8, key, "value")) {
                made.value = .{ .data = try reader.checked() };
            } else return error.Malformed;
        }
        return made;
    }

    fn matches(self: Condition, metadata: Reader) msgpack.Error!bool {
        const place = try find(metadata, self.field);
        if (self.op == .exists) return (place != null) == try isTrue(self.value);
        const found = place orelse return self.op == .ne or self.op == .not_in;
        return switch (self.op) {
            .eq => equal(found, self.value),
            .ne => !try equal(found, self.value),
            .in => isIn(found, self.value),
            .not_in => !try isIn(found, self.value),
            .contains => contains(found, self.value),
            else => self.isOrdered(found),
        };
    }

    fn isOrdered(self: Condition, found: Reader) msgpack.Error!bool {
        const order = try ordered(found, self.value) orelse return false;
        return switch (self.op) {
            .lt => order == .lt,
            .lte => order != .gt,
            .gt => order == .gt,
            else => order != .lt,
        };
    }
};

pub const Filter = struct {
    all_of: []Condition = &.{},
    any_of: []Condition = &.{},
    none_of: []Condition = &.{},
    min_score: ?f64 = null,

    /// Reads a filter's document, or nil. What it allocates lasts as long as the call.
    pub fn read(arena: std.mem.Allocator, reader: *Reader) (msgpack.Error || error{OutOfMemory})!Filter {
        var made = Filter{};
        const count = switch (try reader.head()) {
            .nil => return made,
            .map => |count| count,
            else => return error.Malformed,
        };
        for (0..count) |_| {
            const key = try reader.text();
            if (std.mem.eql(u8, key, "all_of")) {
                made.all_of = try conditions(arena, reader);
            } else if (std.mem.eql(u8, key, "any_of")) {
                made.any_of = try conditions(arena, reader);
            } else if (std.mem.eql(u8, key, "none_of")) {
                made.none_of = try conditions(arena, reader);
            } else if (std.mem.eql(u8, key, "min_score")) {
                made.min_score = switch (try reader.head()) {
                    .nil => null,
                    .float => |number| number,
                    .integer => |number| @floatFromInt(number),
                    else => return error.Malformed,
                };
            } else return error.Malformed;
        }
        return made;
    }

    /// Whether an item with this metadata passes. Does not look at `min_score`.
    pub fn matches(self: *const Filter, metadata: []const u8) msgpack.Error!bool {
        const reader = Reader{ .data = metadata };
        for (self.all_of) |one| if (!try one.matches(reader)) return false;
        for (self.none_of) |one| if (try one.matches(reader)) return false;
        for (self.any_of) |one| if (try one.matches(reader)) return true;
        return self.any_of.len == 0;
    }
};

fn conditions(arena: std.mem.Allocator, reader: *Reader) (msgpack.Error || error{OutOfMemory})![]Condition {
    const count = try reader.array();
    var made: std.ArrayList(Condition) = .empty; // not as long as `count` says: it may lie
    for (0..count) |_| try made.append(arena, try Condition.read(reader));
    return made.items;
}

/// The value of a field; dots go into nested maps.
fn find(metadata: Reader, field: []const u8) msgpack.Error!?Reader {
    var reader = metadata;
    var keys = std.mem.splitScalar(u8, field, '.');
    while (keys.next()) |key| reader = try reader.field(key) orelse return null;
    return reader;
}

fn isTrue(value: Reader) msgpack.Error!bool {
    var reader = value;
    return switch (try reader.head()) {
        .nil => false,
        .boolean => |truth| truth,
        .integer => |number| number != 0,
        .float => |number| number != 0,
        .text, .binary => |bytes| bytes.len > 0,
        .array, .map => |count| count > 0,
    };
}

fn contains(found: Reader, wanted: Reader) msgpack.Error!bool {
    var within = found;
    var part = wanted;
    const text = switch (try within.head()) {
        .text => |text| text,
        else => return isIn(wanted, found),
    };
    return switch (try part.head()) {
        .text => |piece| std.mem.find(u8, text, piece) != null,
        else => false,
    };
}

fn isIn(one: Reader, several: Reader) msgpack.Error!bool {
    var reader = several;
    const count = switch (try reader.head()) {
        .array => |count| count,
        else => return false,
    };
    for (0..count) |_| {
        if (try equal(one, reader)) return true;
        try reader.skip();
    }
    return false;
}

/// The order of two numbers or two texts; none of anything else.
fn ordered(one: Reader, other: Reader) msgpack.Error!?std.math.Order {
    var left = one;
    var right = other;
    const a = try left.head();
    const b = try right.head();
    if (a == .text and b == .text) return std.mem.order(u8, a.text, b.text);
    return orderOfNumbers(a, b);
}

/// Equality of documents: true is not 1, 1 is 1.0.
fn equal(one: Reader, other: Reader) msgpack.Error!bool {
    var left = one;
    var right = other;
    const a = try left.head();
    const b = try right.head();
    if (orderOfNumbers(a, b)) |order| return order == .eq;
    if (std.meta.activeTag(a) != std.meta.activeTag(b)) return false;
    switch (a) {
        .nil => return true,
        .boolean => |truth| return truth == b.boolean,
        .integer, .float => return false, // not a number
        .text => |text| return std.mem.eql(u8, text, b.text),
        .binary => |bytes| return std.mem.eql(u8, bytes, b.binary),
        .array => |count| {
            if (count != b.array) return false;
            for (0..count) |_| {
                if (!try equal(left, right)) return false;
                try left.skip();
                try right.skip();
            }
        },
        .map => |count| {
            if (count != b.map) return false;
            for (0..count) |_| {
                const key = try left.text();
                const counterpart = try other.field(key) orelse return false;
                if (!try equal(left, counterpart)) return false;
                try left.skip();
            }
        },
    }
    return true;
}

/// The order of two numbers, exactly: an integer is not rounded to compare it with a float.
fn orderOfNumbers(a: Head, b: Head) ?std.math.Order {
    return switch (a) {
        .integer => |i| switch (b) {
            .integer => |j| std.math.order(i, j),
            .float => |f| orderOfMixed(i, f),
            else => null,
        },
        .float => |f| switch (b) {
            .integer => |i| if (orderOfMixed(i, f)) |order| order.invert() else null,
            .float => |g| if (f < g) .lt else if (f > g) .gt else if (f == g) .eq else null,
            else => null,
        },
        else => null,
    };
}

fn orderOfMixed(i: i128, f: f64) ?std.math.Order {
    if (f != f) return null;
    const beyond = 0x1p66; // more than any integer of a document
    if (f >= beyond) return .lt;
    if (f <= -beyond) return .gt;
    const whole = @trunc(f);
    const order = std.math.order(i, @as(i128, @intFromFloat(whole)));
    if (order != .eq or f == whole) return order;
    return if (f > whole) .lt else .gt;
}
