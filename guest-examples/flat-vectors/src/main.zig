//! A vector memory backend: the exports of its world. See `README.md`.

const std = @import("std");
const abi = @import("abi.zig");
const msgpack = @import("msgpack.zig");
const operations = @import("operations.zig");

/// A fault of our own is a trap.
pub const panic = std.debug.no_panic;

const gpa = abi.gpa;
const Arena = std.heap.ArenaAllocator;

/// An operation that takes a document, with a result or without.
fn taking(comptime operation: anytype) type {
    const answers = @typeInfo(@TypeOf(operation)).@"fn".param_types.len == 3;
    return struct {
        fn call(form: abi.Form, at: [*]u8, size: usize) callconv(.c) *abi.Result {
            return run(form, at, size) catch |why| abi.fail(why);
        }

        fn run(form: abi.Form, at: [*]u8, size: usize) !*abi.Result {
            const document = try abi.document(form, at, size);
            defer document.free();
            var arena = Arena.init(gpa);
            defer arena.deinit();
            if (!answers) {
                try operation(arena.allocator(), document.bytes);
                return abi.succeed();
            }
            answer.clear();
            try operation(arena.allocator(), document.bytes, &answer.writer);
            return abi.succeedWith(answer.writer.out.items);
        }
    };
}

/// An operation that takes nothing, with a result or without.
fn plain(comptime operation: anytype) type {
    const answers = @typeInfo(@TypeOf(operation)).@"fn".param_types.len == 1;
    return struct {
        fn call() callconv(.c) *abi.Result {
            return run() catch |why| abi.fail(why);
        }

        fn run() !*abi.Result {
            if (!answers) {
                try operation();
                return abi.succeed();
            }
            answer.clear();
            try operation(&answer.writer);
            return abi.succeedWith(answer.writer.out.items);
        }
    };
}

/// The document that is on its way to the host.
const answer = struct {
    var writer = msgpack.Writer{ .gpa = gpa };

    fn clear() void {
        writer.out.clearAndFree(gpa);
    }
};

fn sent(result: *abi.Result) callconv(.c) void {
    _ = result;
    abi.sentResult();
    answer.clear();
}

const lifecycle = "orchestrator:plugin/lifecycle@1.0.0#";
const backend = "orchestrator:plugin/vector-memory-backend@1.0.0#";

comptime {
    const exports = .{
        .{ lifecycle ++ "init", taking(operations.init) },
        .{ lifecycle ++ "health-check", plain(operations.healthCheck) },
        .{ lifecycle ++ "shutdown", plain(operations.shutdown) },
        .{ backend ++ "upsert", taking(operations.upsert) },
        .{ backend ++ "query", taking(operations.query) },
        .{ backend ++ "delete-by-ids", taking(operations.deleteByIds) },
        .{ backend ++ "wipe-repo", taking(operations.wipeRepo) },
        .{ backend ++ "info", plain(operations.info) },
    };
    for (exports) |one| {
        @export(&one[1].call, .{ .name = one[0] });
        @export(&sent, .{ .name = "cabi_post_" ++ one[0] });
    }
}
