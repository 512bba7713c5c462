//! What crosses the boundary: payloads, results and errors as the canonical ABI lays them out, and
//! the memory that the host asks for.

const std = @import("std");
const base64 = @import("base64.zig");

pub const gpa = std.heap.wasm_allocator;

/// `error-kind` of the contract, in its order.
pub const Kind = enum(u8) {
    invalid_request,
    unauthenticated,
    permission_denied,
    not_found,
    rate_limited,
    unavailable,
    timeout,
    aborted,
    unsupported,
    out_of_memory,
    internal,
};

/// The forms of a payload, in their order.
pub const Form = enum(u8) { bytes, latin1, base64 };

/// `result<payload, error>` and `result<_, error>`, as they lie in memory.
pub const Result = extern struct {
    is_error: u8 = 0,
    body: extern union {
        payload: extern struct { form: Form align(8), at: [*]u8, size: usize },
        fault: extern struct {
            kind: Kind align(8),
            message: [*]u8,
            message_size: usize,
            retryable: u8,
            has_retry_after: u8 align(8),
            retry_after_ms: u64,
        },
    } align(8) = undefined,
};

comptime {
    std.debug.assert(@sizeOf(Result) == 40);
    std.debug.assert(@offsetOf(Result, "body") == 8);
}

/// Why an operation says no: the kind and the message are in `refusal`.
pub const Refused = error{Refused};

pub var refusal: struct { kind: Kind = .internal, message: []const u8 = "", retryable: bool = false } = .{};
var message_space: [4096]u8 = undefined;

pub fn refuse(kind: Kind, comptime format: []const u8, arguments: anytype) Refused {
    const message = std.fmt.bufPrint(&message_space, format, arguments) catch "(a message too long)";
    refusal = .{ .kind = kind, .message = message };
    return error.Refused;
}

/// The beginning of a text that a message can hold.
pub fn shown(text: []const u8) []const u8 {
    if (text.len <= 3000) return text;
    var size: usize = 3000;
    while (text[size] & 0xc0 == 0x80) size -= 1; // not within a character
    return text[0..size];
}

/// The document of a payload that the host handed over; to be freed with `gpa`, all of `owned`.
pub const Document = struct {
    owned: []u8,
    bytes: []const u8,

    pub fn free(self: Document) void {
        release(self.owned);
    }
};

pub fn document(form: Form, at: [*]u8, size: usize) Refused!Document {
    const owned = at[0..size];
    errdefer release(owned);
    return .{ .owned = owned, .bytes = switch (form) {
        .bytes => owned,
        .latin1 => latin1InPlace(owned) catch return refuse(.invalid_request, "the payload is not latin1", .{}),
        .base64 => base64.decodeInPlace(owned) catch return refuse(.invalid_request, "the payload is not base64", .{}),
    } };
}

/// From UTF-8 to one byte a character: the bytes of a payload in the form latin1.
fn latin1InPlace(text: []u8) error{Invalid}![]u8 {
    var from: usize = 0;
    var to: usize = 0;
    while (from < text.len) {
        const c = text[from];
        from += 1;
        text[to] = c;
        if (c >= 0x80) {
            if (c & 0xfc != 0xc0 or from == text.len) return error.Invalid;
            text[to] = c << 6 | (text[from] & 0x3f);
            from += 1;
        }
        to += 1;
    }
    return text[0..to];
}

/// Some bytes on their way to the host, in the form that is cheaper to move.
pub const Sent = struct {
    form: Form,
    bytes: []u8,
    is_ours: bool,

    pub fn of(bytes: []const u8) error{OutOfMemory}!Sent {
        if (bytes.len <= 256) return .{ .form = .bytes, .bytes = @constCast(bytes), .is_ours = false };
        const text = try gpa.alloc(u8, base64.encodedSize(bytes.len));
        base64.encode(text, bytes);
        return .{ .form = .base64, .bytes = text, .is_ours = true };
    }

    pub fn free(self: Sent) void {
        if (self.is_ours) gpa.free(self.bytes);
    }
};

/// The one result that is on its way: it lives until the host has read it.
pub var result: Result = .{};
var result_sent: ?Sent = null;

pub fn succeed() *Result {
    result = .{};
    return &result;
}

/// `bytes` must last until `sentResult`.
pub fn succeedWith(bytes: []const u8) error{OutOfMemory}!*Result {
    const sent = try Sent.of(bytes);
    result_sent = sent;
    result = .{ .body = .{ .payload = .{ .form = sent.form, .at = sent.bytes.ptr, .size = sent.bytes.len } } };
    return &result;
}

pub fn fail(why: anyerror) *Result {
    switch (why) {
        error.Refused => {},
        error.OutOfMemory => _ = refuse(.out_of_memory, "there is no memory left", .{}) catch {},
        error.Malformed => _ = refuse(.invalid_request, "the call's document is not as the contract says", .{}) catch {},
        else => _ = refuse(.internal, "{s}", .{@errorName(why)}) catch {},
    }
    result = .{ .is_error = 1, .body = .{ .fault = .{
        .kind = refusal.kind,
        .message = @constCast(refusal.message.ptr),
        .message_size = refusal.message.len,
        .retryable = @intFromBool(refusal.retryable),
        .has_retry_after = 0,
        .retry_after_ms = 0,
    } } };
    return &result;
}

pub fn sentResult() void {
    if (result_sent) |sent| sent.free();
    result_sent = null;
}

pub fn release(memory: []u8) void {
    if (memory.len > 0) gpa.free(memory);
}

/// What the host takes memory with, for what it passes to us.
fn realloc(old: ?[*]u8, old_size: usize, alignment: usize, size: usize) callconv(.c) ?[*]u8 {
    if (size == 0) return @ptrFromInt(alignment);
    const made = if (old_size == 0) gpa.alloc(u8, size) else gpa.realloc(old.?[0..old_size], size);
    return (made catch @trap()).ptr;
}

comptime {
    @export(&realloc, .{ .name = "cabi_realloc" });
}
