//! What the world asks of the store. What an operation allocates with `arena` lasts as long as the
//! call.

const std = @import("std");
const abi = @import("abi.zig");
const calls = @import("call.zig");
const filter = @import("filter.zig");
const host = @import("host.zig");
const journal = @import("journal.zig");
const msgpack = @import("msgpack.zig");
const record = @import("record.zig");
const search = @import("search.zig");
const store = @import("store.zig");

const gpa = abi.gpa;
const Call = calls.Call;
const Error = calls.Error;

var kept = store.Store{ .gpa = gpa };
var log = journal.Journal{ .gpa = gpa };

/// Items between two looks at the abort signal: each is a call of the host.
const abort_check_every = 8192;

pub fn init(_: std.mem.Allocator, document: []const u8) Error!void {
    const call = try Call.read(document);
    const config = call.config orelse return error.Malformed;
    if (try config.field("sync")) |value| {
        var reader = value;
        log.syncs = switch (try reader.head()) {
            .boolean => |truth| truth,
            else => return abi.refuse(.invalid_request, "the config key sync must be true or false", .{}),
        };
    }
    try log.open(&kept);
    if (try config.field("dims")) |value| {
        var reader = value;
        const dims = (try reader.head()).asInteger() orelse 0;
        if (dims < 1 or dims > record.max_dims) {
            return abi.refuse(.invalid_request, "the config key dims must be a positive integer, of {d} at most", .{record.max_dims});
        }
        if (kept.dims != 0 and kept.dims != dims) {
            return abi.refuse(.invalid_request, "the config key dims is {d}, what is kept has {d}", .{ dims, kept.dims });
        }
        kept.dims = @intCast(dims);
    }
    host.log("info", "{d} items in {d} repositories", .{ kept.count(), kept.repositories.count() });
}

pub fn healthCheck(writer: *msgpack.Writer) Error!void {
    var space: [100]u8 = undefined;
    const repositories = kept.repositories.count();
    const message = std.fmt.bufPrint(&space, "{d} items in {d} repositories", .{ kept.count(), repositories }) catch unreachable;
    try writer.map(3);
    try writer.text("healthy");
    try writer.boolean(true);
    try writer.text("message");
    try writer.text(message);
    try writer.text("details");
    try writer.map(4);
    try writer.text("items");
    try writer.unsigned(kept.count());
    try writer.text("repos");
    try writer.unsigned(repositories);
    try writer.text("dims");
    if (kept.dims == 0) try writer.nil() else try writer.unsigned(kept.dims);
    try writer.text("file_bytes");
    try writer.unsigned(log.end);
}

pub fn shutdown() Error!void {
    kept.wipeAll();
}

pub fn upsert(arena: std.mem.Allocator, document: []const u8) Error!void {
    const call = try Call.read(document);
    var reader = call.items orelse return error.Malformed;
    const count = try reader.array();
    if (count == 0) return;
    // All or none: every item is checked, and has its memory, before the first is kept.
    var items: std.ArrayList(record.Item) = .empty;
    var dims = kept.dims;
    for (0..count) |_| {
        const item = try calls.readItem(&reader);
        if (dims == 0) dims = std.math.cast(u32, item.vector.len) orelse return error.Malformed;
        try checkDims(item.vector.len, dims, "the vector of item '{s}'", .{abi.shown(item.id)});
        try items.append(arena, item);
    }
    const made = try arena.alloc(store.Item, items.items.len);
    var done: usize = 0;
    errdefer for (made[0..done]) |item| item.free(gpa);
    for (items.items, made) |item, *one| {
        const norm = try normOf(arena, item);
        one.* = try store.Item.make(gpa, item.id, item.metadata, item.text, norm);
        done += 1;
    }
    const was_there = kept.get(call.repository) != null;
    const repository = try kept.getOrMake(call.repository, dims);
    errdefer if (!was_there) kept.wipe(call.repository);
    try repository.reserve(gpa, made.len);

    var size: usize = 64 + call.repository.len;
    for (items.items) |item| size += item.size();
    var writer = try record.Writer.init(arena, size);
    try writer.put(call.repository, dims, items.items.len);
    for (items.items) |item| try writer.item(item);
    try log.append(&writer);

    kept.dims = dims;
    for (items.items, made) |item, one| repository.put(gpa, one, item.vector);
    log.compact(&kept);
}

fn checkDims(found: usize, dims: u32, comptime what: []const u8, arguments: anytype) abi.Refused!void {
    if (dims == 0) return abi.refuse(.invalid_request, what ++ " has 0 dims, this backend keeps vectors of at least 1", arguments);
    if (found == dims) return;
    return abi.refuse(.invalid_request, what ++ " has {d} dims, this backend keeps vectors of {d}", arguments ++ .{ found, dims });
}

fn normOf(arena: std.mem.Allocator, item: record.Item) Error!f64 {
    const aligned = try arena.alloc(f32, item.vector.len);
    defer arena.free(aligned);
    @memcpy(aligned, item.vector);
    const norm = search.normOf(aligned);
    if (!std.math.isFinite(norm)) {
        return abi.refuse(.invalid_request, "the vector of item '{s}' has numbers that are not finite", .{abi.shown(item.id)});
    }
    return norm;
}

/// An item that was found, for as long as the call lasts.
const Found = struct {
    item: *const store.Item,

    pub fn id(self: Found) []const u8 {
        return self.item.id();
    }
};

pub fn query(arena: std.mem.Allocator, document: []const u8, writer: *msgpack.Writer) Error!void {
    const call = try Call.read(document);
    var best = search.Best(Found){ .wanted = 0, .min_score = -std.math.inf(f64) };
    if (kept.dims != 0) try checkDims(call.vector.len, kept.dims, "the query's vector", .{});
    var filtering = filter.Filter{};
    if (call.filter) |value| {
        var reader = value;
        filtering = try filter.Filter.read(arena, &reader);
    }
    if (kept.get(call.repository)) |repository| {
        const items = repository.items.items;
        best.wanted = @intCast(@min(call.top_k, items.len));
        if (filtering.min_score) |least| best.min_score = least;
        if (best.wanted > 0) try findBest(arena, call, repository, &filtering, &best);
    }
    const found = best.sorted();
    try writer.array(@intCast(found.len));
    for (found) |one| {
        try writer.map(4);
        try writer.text("id");
        try writer.text(one.item.id());
        try writer.text("score");
        try writer.float(one.score);
        try writer.text("metadata");
        try writer.raw(one.item.item.metadata());
        try writer.text("text");
        if (one.item.item.text()) |text| try writer.text(text) else try writer.nil();
    }
}

fn findBest(
    arena: std.mem.Allocator,
    call: Call,
    repository: *const store.Repository,
    filtering: *const filter.Filter,
    best: *search.Best(Found),
) Error!void {
    const vector = try arena.alloc(f32, repository.stride);
    @memcpy(vector[0..call.vector.len], call.vector);
    @memset(vector[call.vector.len..], 0);
    const wanted = search.Query.of(vector);
    for (repository.items.items, 0..) |*item, at| {
        if (at % abort_check_every == 0) try host.checkAborted();
        const least = best.least();
        const row = repository.row(at);
        if (wanted.isSurelyBelow(row, item.norm, least)) continue;
        if (!try filtering.matches(item.metadata())) continue;
        const score = wanted.score(row, item.norm);
        if (score >= least) try best.offer(arena, .{ .score = score, .item = .{ .item = item } });
    }
}

pub fn deleteByIds(arena: std.mem.Allocator, document: []const u8) Error!void {
    const call = try Call.read(document);
    var reader = call.ids orelse return error.Malformed;
    const repository = kept.get(call.repository) orelse return;
    var ids: std.ArrayList([]const u8) = .empty;
    for (0..try reader.array()) |_| {
        const id = try reader.text();
        if (repository.find(id) != null) try ids.append(arena, id);
    }
    if (ids.items.len == 0) return;
    var writer = try record.Writer.init(arena, 0);
    try writer.remove(call.repository, ids.items);
    try log.append(&writer);
    for (ids.items) |id| repository.remove(gpa, id);
    log.compact(&kept);
}

pub fn wipeRepo(arena: std.mem.Allocator, document: []const u8) Error!void {
    const call = try Call.read(document);
    if (kept.get(call.repository) == null) return;
    var writer = try record.Writer.init(arena, 0);
    try writer.wipe(call.repository);
    try log.append(&writer);
    kept.wipe(call.repository);
    log.compact(&kept);
}

pub fn info(writer: *msgpack.Writer) Error!void {
    try writer.map(6);
    try writer.text("backend");
    try writer.text("flat-vectors");
    try writer.text("dims");
    try writer.unsigned(kept.dims);
    try writer.text("embedder_id");
    try writer.nil();
    try writer.text("location");
    try writer.text("local");
    try writer.text("supports_filters");
    try writer.boolean(true);
    try writer.text("item_count");
    try writer.unsigned(kept.count());
}
