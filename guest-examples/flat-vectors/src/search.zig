//! Similarity of vectors, and the best of many.
//!
//! A score is worked out in double precision, as the definition says. Doing so for every vector
//! would take several times as long as reading them, so most are looked at in single precision
//! first, with SIMD: what is out of the question even if all rounding was in its favour is not
//! looked at again. What is found is the same.

const std = @import("std");

const lanes = 4;
const Lanes = @Vector(lanes, f32);

/// How many numbers a vector of `dims` takes, with zeros at its end: whole lanes.
pub fn strideOf(dims: usize) usize {
    return (dims + lanes - 1) / lanes * lanes;
}

/// The dot product in single precision, of whole lanes.
fn roughDot(a: []const f32, b: []const f32) f32 {
    @setRuntimeSafety(false);
    var sums = [4]Lanes{ @splat(0), @splat(0), @splat(0), @splat(0) };
    var i: usize = 0;
    while (i + 4 * lanes <= a.len) : (i += 4 * lanes) {
        inline for (&sums, 0..) |*sum, j| {
            const x: Lanes = a[i + j * lanes ..][0..lanes].*;
            const y: Lanes = b[i + j * lanes ..][0..lanes].*;
            sum.* += x * y;
        }
    }
    while (i < a.len) : (i += lanes) {
        const x: Lanes = a[i..][0..lanes].*;
        const y: Lanes = b[i..][0..lanes].*;
        sums[0] += x * y;
    }
    return @reduce(.Add, (sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/// The dot product in double precision, in order: the product of two singles is exact.
fn exactDot(a: []const f32, b: []const f32) f64 {
    var sum: f64 = 0;
    for (a, b) |x, y| sum += @as(f64, x) * @as(f64, y);
    return sum;
}

pub fn normOf(vector: []const f32) f64 {
    return @sqrt(exactDot(vector, vector));
}

/// What is searched for.
pub const Query = struct {
    vector: []const f32,
    norm: f64,
    /// How far a rough score may be from the score: each of the roundings of a sum is a part in
    /// 2^24 of no more than the product of the norms, and they are fewer than this counts.
    margin: f64,

    pub fn of(vector: []const f32) Query {
        const roundings: f64 = @floatFromInt(vector.len / (4 * lanes) + 16);
        return .{ .vector = vector, .norm = normOf(vector), .margin = roundings * 0x1p-23 };
    }

    /// Whether the score of a vector is sure to be less than `least`. Most are, and that is seen
    /// at a fraction of what the score costs.
    pub fn isSurelyBelow(self: *const Query, vector: []const f32, norm: f64, least: f64) bool {
        const norms = self.norm * norm;
        // Outside of these, single precision overflows, or loses what is small.
        if (least <= -1 or norms < 0x1p-60 or norms > 0x1p100) return false;
        return @as(f64, roughDot(self.vector, vector)) / norms + self.margin < least;
    }

    /// The cosine of the angle to a vector.
    pub fn score(self: *const Query, vector: []const f32, norm: f64) f64 {
        const norms = self.norm * norm;
        if (norms == 0) return 0; // zero vectors have no angle
        const cosine = exactDot(self.vector, vector) / norms;
        return @max(-1.0, @min(1.0, cosine)); // rounding may carry it past the ends
    }
};

/// The best of what is offered, as many as are wanted. Equal scores come by id.
pub fn Best(comptime Item: type) type {
    return struct {
        const Self = @This();
        pub const Found = struct { score: f64, item: Item };

        /// A heap: the first is the worst of them.
        heap: std.ArrayList(Found) = .empty,
        wanted: usize,
        min_score: f64,

        /// What a score has to be at least.
        pub fn least(self: *const Self) f64 {
            if (self.heap.items.len < self.wanted) return self.min_score;
            return @max(self.min_score, self.heap.items[0].score);
        }

        pub fn offer(self: *Self, gpa: std.mem.Allocator, found: Found) error{OutOfMemory}!void {
            if (self.heap.items.len < self.wanted) {
                try self.heap.append(gpa, found);
                self.rise(self.heap.items.len - 1);
            } else if (isBetter(found, self.heap.items[0])) {
                self.heap.items[0] = found;
                self.sink(0);
            }
        }

        /// All of them, best first. The heap is none afterwards.
        pub fn sorted(self: *Self) []const Found {
            std.mem.sort(Found, self.heap.items, {}, struct {
                fn before(_: void, one: Found, other: Found) bool {
                    return isBetter(one, other);
                }
            }.before);
            return self.heap.items;
        }

        fn isBetter(one: Found, other: Found) bool {
            if (one.score != other.score) return one.score > other.score;
            return std.mem.order(u8, one.item.id(), other.item.id()) == .lt;
        }

        fn rise(self: *Self, start: usize) void {
            const items = self.heap.items;
            var at = start;
            while (at > 0) {
                const parent = (at - 1) / 2;
                if (!isBetter(items[parent], items[at])) return;
                std.mem.swap(Found, &items[parent], &items[at]);
                at = parent;
            }
        }

        fn sink(self: *Self, start: usize) void {
            const items = self.heap.items;
            var at = start;
            while (true) {
                var worst = at;
                for ([_]usize{ 2 * at + 1, 2 * at + 2 }) |child| {
                    if (child < items.len and isBetter(items[worst], items[child])) worst = child;
                }
                if (worst == at) return;
                std.mem.swap(Found, &items[worst], &items[at]);
                at = worst;
            }
        }
    };
}
