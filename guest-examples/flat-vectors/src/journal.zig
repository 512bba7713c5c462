//! The file: a log of changes, to which each change is appended before it is made in memory.
//!
//! A record is its length, a checksum of that length, a checksum of its content, and its content.
//! A process that is killed leaves a prefix of what it was writing, so a record at the end that is
//! not whole was never acknowledged, and is cut off. Anything else that is not as it was written is
//! damage, which is reported and never written over.
//!
//! When most of the log is about what is there no more, it is written anew beside, and replaces
//! the old one at once.

const std = @import("std");
const abi = @import("abi.zig");
const host = @import("host.zig");
const record = @import("record.zig");
const store = @import("store.zig");

const file = host.File{ .path = "data/vectors.log" };
const next = host.File{ .path = "data/vectors.new" };
const magic = "FLATVEC1";
const head_size = 16;
const piece_size = 1024 * 1024;
/// More than any call's document makes: a length beyond it is damage, not memory to take.
const max_record = 64 * 1024 * 1024;
/// What may be there for nothing, whatever else is there.
const free_waste = 4 * 1024 * 1024;

const Head = struct {
    size: u32,
    checksum: u64,

    fn of(content: []const u8) Head {
        return .{ .size = @intCast(content.len), .checksum = std.hash.XxHash64.hash(0, content) };
    }

    fn written(self: Head) [head_size]u8 {
        var bytes: [head_size]u8 = undefined;
        std.mem.writeInt(u32, bytes[0..4], self.size, .little);
        std.mem.writeInt(u64, bytes[8..16], self.checksum, .little);
        std.mem.writeInt(u32, bytes[4..8], ownChecksum(&bytes), .little);
        return bytes;
    }

    fn read(bytes: *const [head_size]u8) ?Head {
        if (std.mem.readInt(u32, bytes[4..8], .little) != ownChecksum(bytes)) return null;
        return .{
            .size = std.mem.readInt(u32, bytes[0..4], .little),
            .checksum = std.mem.readInt(u64, bytes[8..16], .little),
        };
    }

    fn ownChecksum(bytes: *const [head_size]u8) u32 {
        var hash = std.hash.XxHash64.init(1);
        hash.update(bytes[0..4]);
        hash.update(bytes[8..16]);
        return @truncate(hash.final());
    }
};

pub const Journal = struct {
    gpa: std.mem.Allocator,
    /// Where the next record goes; 0 while there is no file.
    end: u64 = 0,
    /// Whether something may be beyond `end` that failed to be written whole.
    has_torn_tail: bool = false,
    /// When not to try again to write it anew, after that has failed.
    not_before: u64 = 0,
    /// Whether to wait for the disk.
    syncs: bool = false,

    /// Reads the file into an empty store.
    pub fn open(self: *Journal, into: *store.Store) host.Error!void {
        try next.remove(); // of a process that ended before it took the log's place
        var unread: std.ArrayList(u8) = .empty;
        defer unread.deinit(self.gpa);
        var from: usize = 0; // where in `unread` the next record begins
        var at: u64 = 0; // where in the file that is
        while (true) {
            if (from > 0) {
                std.mem.copyForwards(u8, unread.items, unread.items[from..]);
                unread.items.len -= from;
                from = 0;
            }
            const piece = file.read(at + unread.items.len, piece_size) catch |why| {
                if (at == 0 and unread.items.len == 0 and host.isNotFound(why)) return;
                return why;
            };
            defer piece.free();
            try unread.appendSlice(self.gpa, piece.bytes);
            if (at == 0) {
                const read = unread.items[0..@min(magic.len, unread.items.len)];
                if (!std.mem.startsWith(u8, magic, read)) return damaged(0, "it is none of this plugin's files");
                if (read.len < magic.len) break;
                from = magic.len;
                at = magic.len;
            }
            while (try whole(unread.items[from..], at)) |content| {
                record.replay(content, into) catch |why| return switch (why) {
                    error.OutOfMemory => error.OutOfMemory,
                    error.Malformed => damaged(at, "a record makes no sense"),
                };
                from += head_size + content.len;
                at += head_size + content.len;
            }
            if (piece.bytes.len < piece_size) break;
        }
        const torn = unread.items.len - from;
        self.end = at;
        if (torn > 0) {
            host.log("warning", "cut off {d} bytes at the end of the log, which were never written whole", .{torn});
            try file.resize(at);
        }
    }

    /// The content of the record that `bytes` begin with; none if they end within it.
    fn whole(bytes: []const u8, at: u64) abi.Refused!?[]const u8 {
        if (bytes.len < head_size) return null;
        // Where the system itself went down, there may be zeros instead of what was written.
        const head = Head.read(bytes[0..head_size]) orelse
            return if (std.mem.allEqual(u8, bytes, 0)) null else damaged(at, "a record's head is not as it was written");
        if (head.size > max_record) return damaged(at, "a record is larger than any");
        if (bytes.len - head_size < head.size) return null;
        const content = bytes[head_size..][0..head.size];
        if (Head.of(content).checksum != head.checksum) return damaged(at, "a record is not as it was written");
        return content;
    }

    /// Appends a record. Either it is there, or an error says why it is not.
    pub fn append(self: *Journal, content: []const u8) host.Error!void {
        if (content.len > max_record) return abi.refuse(.invalid_request, "the call has too much in it: put fewer items at once", .{});
        if (self.has_torn_tail) try file.resize(self.end);
        self.has_torn_tail = true;
        const head = Head.of(content).written();
        var bytes: std.ArrayList(u8) = .empty;
        defer bytes.deinit(self.gpa);
        try bytes.ensureTotalCapacityPrecise(self.gpa, magic.len + head_size + content.len);
        if (self.end == 0) bytes.appendSliceAssumeCapacity(magic);
        bytes.appendSliceAssumeCapacity(&head);
        bytes.appendSliceAssumeCapacity(content);
        self.writeAll(bytes.items) catch |why| {
            const refusal = abi.refusal;
            if (file.resize(self.end)) {
                self.has_torn_tail = false;
            } else |_| {}
            abi.refusal = refusal;
            return why;
        };
        self.has_torn_tail = false;
        self.end += bytes.items.len;
    }

    fn writeAll(self: *Journal, bytes: []const u8) host.Error!void {
        try file.write(self.end, bytes);
        if (self.syncs) try file.sync();
    }

    /// Writes the log anew, if most of it is for nothing. It is as well not to.
    pub fn compact(self: *Journal, from: *const store.Store) void {
        if (self.end < self.not_before) return;
        const live = liveBytes(from);
        if (self.end <= 2 * live + free_waste) return;
        const end = rewrite(self.gpa, from) catch {
            host.log("warning", "the log could not be written anew: {s}", .{abi.shown(abi.refusal.message)});
            next.remove() catch {};
            self.not_before = self.end + self.end / 2;
            return;
        };
        host.log("info", "wrote the log anew: {d} bytes instead of {d}", .{ end, self.end });
        self.end = end;
    }
};

fn damaged(at: u64, what: []const u8) abi.Refused {
    return abi.refuse(.internal, "{s} is damaged at byte {d}: {s}. Restore it from a copy, or remove it to begin anew", .{ file.path, at, what });
}

fn liveBytes(from: *const store.Store) u64 {
    var size: u64 = 0;
    var repositories = from.repositories.valueIterator();
    while (repositories.next()) |repository| {
        for (repository.*.items.items) |item| size += item.texts.len + 4 * @as(u64, from.dims) + 16;
    }
    return size;
}

/// Writes what is in the store to a new log, in the place of the old one. Gives its size.
fn rewrite(gpa: std.mem.Allocator, from: *const store.Store) host.Error!u64 {
    try next.remove();
    var end: u64 = 0;
    var writer = record.Writer{ .gpa = gpa };
    defer writer.out.deinit(gpa);
    if (from.dims != 0) {
        try writer.dims(from.dims);
        end = try flush(&writer, end);
    }
    var repositories = from.repositories.valueIterator();
    while (repositories.next()) |each| {
        const repository = each.*;
        const items = repository.items.items;
        var at: usize = 0;
        while (at < items.len) {
            var last = at;
            var size: usize = 0;
            while (last < items.len and size < piece_size / 2) : (last += 1) {
                size += items[last].texts.len + 4 * @as(usize, from.dims);
            }
            try writer.put(repository.name, from.dims, last - at);
            while (at < last) : (at += 1) {
                const item = items[at];
                try writer.item(.{
                    .id = item.id(),
                    .vector = repository.row(at)[0..from.dims],
                    .metadata = item.metadata(),
                    .text = item.text(),
                });
            }
            end = try flush(&writer, end);
        }
    }
    try next.sync();
    try next.replace(file);
    return end;
}

/// Writes a record at the end of the new log.
fn flush(writer: *record.Writer, end: u64) host.Error!u64 {
    var at = end;
    if (at == 0) {
        try next.write(0, magic);
        at = magic.len;
    }
    try next.write(at, &Head.of(writer.out.items).written());
    try next.write(at + head_size, writer.out.items);
    defer writer.out.clearRetainingCapacity();
    return at + head_size + writer.out.items.len;
}
