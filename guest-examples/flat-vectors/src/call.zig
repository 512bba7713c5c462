//! The document of a call, taken apart.

const std = @import("std");
const abi = @import("abi.zig");
const host = @import("host.zig");
const msgpack = @import("msgpack.zig");
const record = @import("record.zig");

pub const Error = host.Error || msgpack.Error;

/// The parts of a call's document that there are.
pub const Call = struct {
    repository: []const u8 = "",
    items: ?msgpack.Reader = null,
    ids: ?msgpack.Reader = null,
    vector: []align(1) const f32 = &.{},
    top_k: u64 = 0,
    filter: ?msgpack.Reader = null,
    config: ?msgpack.Reader = null,

    pub fn read(document: []const u8) Error!Call {
        var call = Call{};
        var reader = msgpack.Reader{ .data = document };
        if ((try reader.checked()).len != document.len) return error.Malformed;
        reader.at = 0;
        for (0..try reader.map()) |_| {
            const key = try reader.text();
            const value = reader;
            try reader.skip();
            var inside = value;
            if (std.mem.eql(u8, key, "repo_id")) {
                call.repository = try inside.text();
            } else if (std.mem.eql(u8, key, "vector")) {
                call.vector = try vectorOf(try inside.binary());
            } else if (std.mem.eql(u8, key, "top_k")) {
                const count = (try inside.head()).asInteger() orelse return error.Malformed;
                if (count < 0) return abi.refuse(.invalid_request, "top_k must not be negative, got {d}", .{count});
                call.top_k = @intCast(count);
            } else if (std.mem.eql(u8, key, "items")) {
                call.items = value;
            } else if (std.mem.eql(u8, key, "ids")) {
                call.ids = value;
            } else if (std.mem.eql(u8, key, "filter")) {
                call.filter = value;
            } else if (std.mem.eql(u8, key, "config")) {
                call.config = value;
            }
        }
        return call;
    }
};

fn vectorOf(bytes: []const u8) msgpack.Error![]align(1) const f32 {
    if (bytes.len % 4 != 0) return error.Malformed;
    return std.mem.bytesAsSlice(f32, bytes);
}

/// Reads an item of an upsert.
pub fn readItem(reader: *msgpack.Reader) Error!record.Item {
    var item = record.Item{};
    for (0..try reader.map()) |_| {
        const key = try reader.text();
        if (std.mem.eql(u8, key, "id")) {
            item.id = try reader.text();
        } else if (std.mem.eql(u8, key, "vector")) {
            item.vector = try vectorOf(try reader.binary());
        } else if (std.mem.eql(u8, key, "metadata")) {
            const start = reader.at;
            try reader.skip();
            item.metadata = reader.data[start..reader.at];
        } else if (std.mem.eql(u8, key, "text")) {
            item.text = switch (try reader.head()) {
                .nil => null,
                .text => |text| text,
                else => return error.Malformed,
            };
        } else return error.Malformed;
    }
    return item;
}
