//! What a record of the log says: one change of the store, whole. Numbers are little-endian, texts
//! come after their lengths.
//!
//!     'D' dims                                                   vectors have this many numbers
//!     'P' dims repository count (item …)                         these items are put
//!         item: sizes of id, metadata and text (-1: none), vector, id, metadata, text
//!     'X' repository count (id …)                                these ids are removed
//!     'W' repository                                             all of it is removed
//!
//! and an end mark after each.

const std = @import("std");
const msgpack = @import("msgpack.zig");
const search = @import("search.zig");
const store = @import("store.zig");

const Allocator = std.mem.Allocator;
pub const Error = error{ Malformed, OutOfMemory };

const no_text = std.math.maxInt(u32);
const item_head = 12;
/// Numbers of the longest vector: more do not get into a record.
pub const max_dims = 1 << 24;
/// Not zero, whatever it is: who finds it knows that all before it was written, too.
const end_mark = '.';

/// An item of a call, or of a record. What it refers to belongs to others.
pub const Item = struct {
    id: []const u8 = "",
    vector: []align(1) const f32 = &.{},
    metadata: []const u8 = &.{0x80},
    text: ?[]const u8 = null,

    pub fn size(self: Item) usize {
        const text_size = if (self.text) |text| text.len else 0;
        return item_head + 4 * self.vector.len + self.id.len + self.metadata.len + text_size;
    }
};

/// Writes a record's content, after some room for what the log puts before it.
pub const Writer = struct {
    gpa: Allocator,
    out: std.ArrayList(u8) = .empty,

    pub const room = 24;

    /// A writer with memory for a content of this size.
    pub fn init(gpa: Allocator, size: usize) error{OutOfMemory}!Writer {
        var made = Writer{ .gpa = gpa };
        try made.out.ensureTotalCapacityPrecise(gpa, room + size + 1);
        made.clear();
        return made;
    }

    pub fn clear(self: *Writer) void {
        self.out.clearRetainingCapacity();
        self.out.appendNTimesAssumeCapacity(0, room);
    }

    /// Ends the content. No more may be written.
    pub fn finish(self: *Writer) error{OutOfMemory}!void {
        try self.raw(&.{end_mark});
    }

    fn raw(self: *Writer, bytes: []const u8) error{OutOfMemory}!void {
        try self.out.appendSlice(self.gpa, bytes);
    }

    fn number(self: *Writer, value: usize) error{OutOfMemory}!void {
        var bytes: [4]u8 = undefined;
        std.mem.writeInt(u32, &bytes, @intCast(value), .little);
        try self.raw(&bytes);
    }

    fn text(self: *Writer, value: []const u8) error{OutOfMemory}!void {
        try self.number(value.len);
        try self.raw(value);
    }

    pub fn dims(self: *Writer, value: u32) error{OutOfMemory}!void {
        try self.raw("D");
        try self.number(value);
    }

    pub fn put(self: *Writer, repository: []const u8, all_dims: u32, count: usize) error{OutOfMemory}!void {
        try self.raw("P");
        try self.number(all_dims);
        try self.text(repository);
        try self.number(count);
    }

    pub fn item(self: *Writer, one: Item) error{OutOfMemory}!void {
        try self.number(one.id.len);
        try self.number(one.metadata.len);
        try self.number(if (one.text) |value| value.len else no_text);
        try self.raw(std.mem.sliceAsBytes(one.vector));
        try self.raw(one.id);
        try self.raw(one.metadata);
        try self.raw(one.text orelse "");
    }

    pub fn remove(self: *Writer, repository: []const u8, ids: []const []const u8) error{OutOfMemory}!void {
        try self.raw("X");
        try self.text(repository);
        try self.number(ids.len);
        for (ids) |id| try self.text(id);
    }

    pub fn wipe(self: *Writer, repository: []const u8) error{OutOfMemory}!void {
        try self.raw("W");
        try self.text(repository);
    }
};

const Reader = struct {
    inner: msgpack.Reader,

    fn number(self: *Reader) Error!u32 {
        const bytes = try self.inner.take(4);
        return std.mem.readInt(u32, bytes[0..4], .little);
    }

    fn text(self: *Reader) Error![]const u8 {
        return self.inner.take(try self.number());
    }

    fn item(self: *Reader, dims: u32) Error!Item {
        const id_size = try self.number();
        const metadata_size = try self.number();
        const text_size = try self.number();
        if (dims > self.inner.data.len / 4) return error.Malformed;
        var made = Item{
            .vector = std.mem.bytesAsSlice(f32, try self.inner.take(4 * dims)),
            .id = try self.inner.take(id_size),
            .metadata = try self.inner.take(metadata_size),
        };
        if (text_size != no_text) made.text = try self.inner.take(text_size);
        var metadata = msgpack.Reader{ .data = made.metadata };
        if ((try metadata.checked()).len != made.metadata.len) return error.Malformed;
        metadata.at = 0;
        _ = try metadata.map();
        for ([_][]const u8{ made.id, made.text orelse "" }) |text_| {
            if (!std.unicode.utf8ValidateSlice(text_)) return error.Malformed;
        }
        return made;
    }
};

/// Makes the change that a record says, as it was made once. The record has its checksum, but who
/// knows who wrote it: it is read with the same care as a call.
pub fn replay(bytes: []const u8, into: *store.Store) Error!void {
    var reader = Reader{ .inner = .{ .data = bytes } };
    const kind = (try reader.inner.take(1))[0];
    switch (kind) {
        'D' => try fixDims(into, try reader.number()),
        'P' => {
            const dims = try reader.number();
            try fixDims(into, dims);
            const name = try reader.text();
            const count = try reader.number();
            const repository = try into.getOrMake(name, dims);
            for (0..count) |_| {
                const one = try reader.item(dims);
                try repository.reserve(into.gpa, 1);
                const kept = try store.Item.make(into.gpa, one.id, one.metadata, one.text, 0);
                repository.put(into.gpa, kept, one.vector);
                const at = repository.index.get(one.id).?;
                const norm = search.normOf(repository.row(at));
                if (!std.math.isFinite(norm)) return error.Malformed;
                repository.items.items[at].norm = norm;
            }
        },
        'X' => {
            const repository = into.get(try reader.text());
            for (0..try reader.number()) |_| {
                const id = try reader.text();
                if (repository) |found| found.remove(into.gpa, id);
            }
        },
        'W' => into.wipe(try reader.text()),
        else => return error.Malformed,
    }
    if (!std.mem.eql(u8, bytes[reader.inner.at..], &.{end_mark})) return error.Malformed;
}

fn fixDims(into: *store.Store, dims: u32) Error!void {
    if (dims == 0 or dims > max_dims or (into.dims != 0 and into.dims != dims)) return error.Malformed;
    into.dims = dims;
}
