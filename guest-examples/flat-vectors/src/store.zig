//! What is kept, in memory: repositories of items, their vectors in rows one after another.

const std = @import("std");
const search = @import("search.zig");

const Allocator = std.mem.Allocator;
pub const OutOfMemory = error{OutOfMemory};

/// About what the rows of one block take, so that it and what the allocator adds are a power of two.
const block_bytes = 256 * 1024 - 256;

/// An item but for its vector. Its texts lie one after another in a memory of its own.
pub const Item = struct {
    texts: []u8,
    id_size: u32,
    metadata_size: u32,
    has_text: bool,
    norm: f64,

    pub fn make(gpa: Allocator, new_id: []const u8, new_metadata: []const u8, new_text: ?[]const u8, norm: f64) OutOfMemory!Item {
        return .{
            .texts = try std.mem.concat(gpa, u8, &.{ new_id, new_metadata, new_text orelse "" }),
            .id_size = @intCast(new_id.len),
            .metadata_size = @intCast(new_metadata.len),
            .has_text = new_text != null,
            .norm = norm,
        };
    }

    pub fn id(self: Item) []const u8 {
        return self.texts[0..self.id_size];
    }

    /// A MessagePack map.
    pub fn metadata(self: Item) []const u8 {
        return self.texts[self.id_size..][0..self.metadata_size];
    }

    pub fn text(self: Item) ?[]const u8 {
        return if (self.has_text) self.texts[self.id_size + self.metadata_size ..] else null;
    }

    pub fn free(self: Item, gpa: Allocator) void {
        gpa.free(self.texts);
    }
};

/// The items of a repository. The vector of the item at an index is the row at that index.
pub const Repository = struct {
    name: []const u8,
    stride: usize,
    items: std.ArrayList(Item) = .empty,
    blocks: std.ArrayList([]align(16) f32) = .empty,
    index: std.StringHashMapUnmanaged(u32) = .empty,
    /// Removals since the index was put in order. What is removed leaves a mark in it, which costs
    /// whoever looks for what is not there.
    removed: usize = 0,

    fn rowsOfBlock(self: *const Repository) usize {
        return @max(1, block_bytes / (self.stride * @sizeOf(f32)));
    }

    pub fn row(self: *const Repository, at: usize) []f32 {
        const rows = self.rowsOfBlock();
        return self.blocks.items[at / rows][at % rows * self.stride ..][0..self.stride];
    }

    /// Makes room, so that this many items can be put without failing.
    pub fn reserve(self: *Repository, gpa: Allocator, count: usize) OutOfMemory!void {
        const wanted = self.items.items.len + count;
        try self.items.ensureTotalCapacity(gpa, wanted);
        try self.index.ensureUnusedCapacity(gpa, @intCast(count));
        const rows = self.rowsOfBlock();
        while (self.blocks.items.len * rows < wanted) {
            try self.blocks.ensureUnusedCapacity(gpa, 1);
            self.blocks.appendAssumeCapacity(try gpa.alignedAlloc(f32, .@"16", rows * self.stride));
        }
    }

    /// Puts an item in a place that was made for it; owns it from here on.
    pub fn put(self: *Repository, gpa: Allocator, item: Item, vector: []align(1) const f32) void {
        const entry = self.index.getOrPutAssumeCapacity(item.id());
        const at = if (entry.found_existing) entry.value_ptr.* else self.items.items.len;
        if (entry.found_existing) {
            self.items.items[at].free(gpa);
            entry.key_ptr.* = item.id();
            self.items.items[at] = item;
        } else {
            entry.value_ptr.* = @intCast(at);
            self.items.appendAssumeCapacity(item);
        }
        const into = self.row(at);
        @memcpy(into[0..vector.len], vector);
        @memset(into[vector.len..], 0);
    }

    pub fn find(self: *const Repository, id: []const u8) ?*const Item {
        const at = self.index.get(id) orelse return null;
        return &self.items.items[at];
    }

    /// Removes an item, if it is there. The last one takes its place.
    pub fn remove(self: *Repository, gpa: Allocator, id: []const u8) void {
        const entry = self.index.fetchRemove(id) orelse return;
        const at = entry.value;
        const last = self.items.items.len - 1;
        self.items.items[at].free(gpa);
        if (at != last) {
            @memcpy(self.row(at), self.row(last));
            self.items.items[at] = self.items.items[last];
            self.index.getPtr(self.items.items[at].id()).?.* = at;
        }
        self.items.items.len = last;
        self.removed += 1;
        if (self.removed > last + 1000) {
            self.index.rehash(std.hash_map.StringContext{});
            self.removed = 0;
        }
        const rows = self.rowsOfBlock();
        // One block is kept besides those in use, lest adding and removing one item make many.
        while (self.blocks.items.len > last / rows + 2) gpa.free(self.blocks.pop().?);
    }

    fn free(self: *Repository, gpa: Allocator) void {
        for (self.items.items) |item| item.free(gpa);
        for (self.blocks.items) |block| gpa.free(block);
        self.items.deinit(gpa);
        self.blocks.deinit(gpa);
        self.index.deinit(gpa);
        gpa.free(self.name);
    }
};

pub const Store = struct {
    gpa: Allocator,
    /// Numbers of each vector; 0 while it may be any.
    dims: u32 = 0,
    repositories: std.StringHashMapUnmanaged(*Repository) = .empty,

    pub fn get(self: *const Store, name: []const u8) ?*Repository {
        return self.repositories.get(name);
    }

    /// A repository, made if it is not there. Vectors have `dims` numbers.
    pub fn getOrMake(self: *Store, name: []const u8, dims: u32) OutOfMemory!*Repository {
        if (self.get(name)) |found| return found;
        try self.repositories.ensureUnusedCapacity(self.gpa, 1);
        const made = try self.gpa.create(Repository);
        errdefer self.gpa.destroy(made);
        made.* = .{ .name = try self.gpa.dupe(u8, name), .stride = search.strideOf(dims) };
        self.repositories.putAssumeCapacity(made.name, made);
        return made;
    }

    pub fn wipe(self: *Store, name: []const u8) void {
        const entry = self.repositories.fetchRemove(name) orelse return;
        entry.value.free(self.gpa);
        self.gpa.destroy(entry.value);
    }

    pub fn wipeAll(self: *Store) void {
        var each = self.repositories.valueIterator();
        while (each.next()) |repository| {
            repository.*.free(self.gpa);
            self.gpa.destroy(repository.*);
        }
        self.repositories.clearAndFree(self.gpa);
    }

    pub fn count(self: *const Store) usize {
        var total: usize = 0;
        var each = self.repositories.valueIterator();
        while (each.next()) |repository| total += repository.*.items.items.len;
        return total;
    }
};
