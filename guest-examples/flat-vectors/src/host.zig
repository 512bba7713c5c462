//! What the host gives: log events, the abort signal, files.

const std = @import("std");
const abi = @import("abi.zig");
const msgpack = @import("msgpack.zig");

const raw = struct {
    const files = "orchestrator:plugin/files@1.0.0";
    extern "orchestrator:plugin/log@1.0.0" fn emit(form: u32, at: [*]const u8, size: usize) void;
    extern "orchestrator:plugin/abort@1.0.0" fn @"is-aborted"() u32;
    extern "orchestrator:plugin/files@1.0.0" fn read(path: [*]const u8, path_size: usize, offset: u64, length: u32, result: *abi.Result) void;
    extern "orchestrator:plugin/files@1.0.0" fn write(path: [*]const u8, path_size: usize, offset: u64, form: u32, at: [*]const u8, size: usize, result: *abi.Result) void;
    extern "orchestrator:plugin/files@1.0.0" fn resize(path: [*]const u8, path_size: usize, size: u64, result: *abi.Result) void;
    extern "orchestrator:plugin/files@1.0.0" fn sync(path: [*]const u8, path_size: usize, result: *abi.Result) void;
    extern "orchestrator:plugin/files@1.0.0" fn remove(path: [*]const u8, path_size: usize, result: *abi.Result) void;
    extern "orchestrator:plugin/files@1.0.0" fn rename(source: [*]const u8, source_size: usize, target: [*]const u8, target_size: usize, result: *abi.Result) void;
};

pub const Error = abi.Refused || error{OutOfMemory};

pub fn log(level: []const u8, comptime format: []const u8, arguments: anytype) void {
    var space: [1024]u8 = undefined;
    const message = std.fmt.bufPrint(&space, format, arguments) catch return;
    var writer = msgpack.Writer{ .gpa = abi.gpa };
    defer writer.out.deinit(abi.gpa);
    writeEvent(&writer, level, message) catch return;
    const sent = abi.Sent.of(writer.out.items) catch return;
    defer sent.free();
    raw.emit(@intFromEnum(sent.form), sent.bytes.ptr, sent.bytes.len);
}

fn writeEvent(writer: *msgpack.Writer, level: []const u8, message: []const u8) error{OutOfMemory}!void {
    try writer.map(4);
    try writer.text("type");
    try writer.text("flat-vectors");
    try writer.text("level");
    try writer.text(level);
    try writer.text("message");
    try writer.text(message);
    try writer.text("fields");
    try writer.map(0);
}

pub fn checkAborted() abi.Refused!void {
    if (raw.@"is-aborted"() != 0) return abi.refuse(.aborted, "aborted", .{});
}

/// A file by its path.
pub const File = struct {
    path: []const u8,

    /// At most `length` bytes from `offset`; to be freed.
    pub fn read(self: File, offset: u64, length: u32) Error!abi.Document {
        var result: abi.Result = .{};
        raw.read(self.path.ptr, self.path.len, offset, length, &result);
        try check(&result);
        const payload = result.body.payload;
        return abi.document(payload.form, payload.at, payload.size);
    }

    pub fn write(self: File, offset: u64, bytes: []const u8) Error!void {
        // As much at once as is cheap to hold twice.
        const piece = 768 * 1024;
        var done: usize = 0;
        while (done < bytes.len) {
            const part = bytes[done..@min(done + piece, bytes.len)];
            const sent = try abi.Sent.of(part);
            defer sent.free();
            var result: abi.Result = .{};
            raw.write(self.path.ptr, self.path.len, offset + done, @intFromEnum(sent.form), sent.bytes.ptr, sent.bytes.len, &result);
            try check(&result);
            done += part.len;
        }
    }

    pub fn resize(self: File, size: u64) Error!void {
        var result: abi.Result = .{};
        raw.resize(self.path.ptr, self.path.len, size, &result);
        return check(&result);
    }

    pub fn sync(self: File) Error!void {
        var result: abi.Result = .{};
        raw.sync(self.path.ptr, self.path.len, &result);
        return check(&result);
    }

    /// Removes it, if it is there.
    pub fn remove(self: File) Error!void {
        var result: abi.Result = .{};
        raw.remove(self.path.ptr, self.path.len, &result);
        check(&result) catch |why| if (!isNotFound(why)) return why;
    }

    /// Takes the place of another, at once.
    pub fn replace(self: File, target: File) Error!void {
        var result: abi.Result = .{};
        raw.rename(self.path.ptr, self.path.len, target.path.ptr, target.path.len, &result);
        return check(&result);
    }
};

pub fn isNotFound(why: anyerror) bool {
    return why == error.Refused and abi.refusal.kind == .not_found;
}

/// Passes on what the host says no with.
fn check(result: *const abi.Result) abi.Refused!void {
    if (result.is_error == 0) return;
    const fault = result.body.fault;
    const message = fault.message[0..fault.message_size];
    defer abi.release(message);
    const refused = abi.refuse(fault.kind, "{s}", .{abi.shown(message)});
    abi.refusal.retryable = fault.retryable != 0;
    return refused;
}
