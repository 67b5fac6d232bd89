/* SPDX-License-Identifier: MIT */
/* unit: lib/number.c lib/hash.c lib/ring.c */
#include "shim/rename.h"
#include "unit.h"
#include <vellum/error.h>
#include <vellum/hash.h>
#include <vellum/ring.h>
#include <vellum/string.h>

#include "lib/string.c"

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

/* Strings of every length at every alignment, over an alphabet so small that all cases occur,
 * against the C library's functions. */
TEST(string_functions_agree_with_the_c_library)
{
    _Alignas(8) char a[64] = "", b[64] = "";

    for (int op = 0; op < 300000; op++) {
        char *s = a + unit_random_below(8), *t = b + unit_random_below(8);
        size_t m = unit_random_below(30), n = unit_random_below(op % 2 ? 30 : 4);
        char c = "ab\0c\x80\xff"[unit_random_below(6)];

        for (size_t i = 0; i < m; i++)
            s[i] = "ab\x80"[unit_random_below(op % 3 ? 2 : 3)];
        for (size_t i = 0; i < n; i++)
            t[i] = op % 5 && i < m ? s[i] : "ab\x80"[unit_random_below(3)];
        s[m] = t[n] = 0;
        CHECK_EQ(strlen(s), __builtin_strlen(s));
        CHECK_EQ(strnlen(s, n), m < n ? m : n);
        CHECK_EQ(sign(strcmp(s, t)), sign(__builtin_strcmp(s, t)));
        CHECK_EQ(sign(strncmp(s, t, n)), sign(__builtin_strncmp(s, t, n)));
        CHECK_EQ(sign(memcmp(s, t, m < n ? m : n)), sign(__builtin_memcmp(s, t, m < n ? m : n)));
        CHECK(strchr(s, c) == __builtin_strchr(s, c));
        CHECK(strrchr(s, c) == __builtin_strrchr(s, c));
        CHECK(memchr(s, c, m) == __builtin_memchr(s, c, m));
        CHECK(strstr(s, t) == __builtin_strstr(s, t));
        CHECK_EQ(strspn(s, t), __builtin_strspn(s, t));
        CHECK_EQ(strcspn(s, t), __builtin_strcspn(s, t));
    }
}

TEST(string_copies_are_ended_and_tell_when_cut)
{
    char to[8] = "xxxxxxx";

    CHECK_EQ(strscpy(to, "abc", sizeof(to)), 3);
    CHECK_STR(to, "abc");
    CHECK_EQ(strscpy(to, "abcdefg", sizeof(to)), 7);
    CHECK_EQ(strscpy(to, "abcdefgh", sizeof(to)), -E2BIG);
    CHECK_STR(to, "abcdefg");
    CHECK_EQ(strscpy(to, "abc", 0), -E2BIG);
    CHECK_EQ(strscpy(to, "", 1), 0);
    CHECK_STR(to, "");
    CHECK_EQ(strlcpy(to, "abcdefghij", sizeof(to)), 10);
    CHECK_STR(to, "abcdefg");
    CHECK_EQ(strlcpy(to, "q", 1), 1);
    CHECK_STR(to, "");
}

static void check_u64(const char *s, unsigned base, int error, u64 expected)
{
    u64 value = 42;

    CHECK_EQ(str_to_u64(s, base, &value), error);
    CHECK_EQ(value, error ? 42 : expected);
}

TEST(numbers_are_read_whole_or_not_at_all)
{
    s64 value;

    check_u64("0", 10, 0, 0);
    check_u64("18446744073709551615", 10, 0, UINT64_MAX);
    check_u64("18446744073709551616", 10, -ERANGE, 0);
    check_u64("99999999999999999999999", 10, -ERANGE, 0);
    check_u64("ff\n", 16, 0, 255);
    check_u64("0xFf", 16, 0, 255);
    check_u64("0xff", 0, 0, 255);
    check_u64("0755", 0, 0, 0755);
    check_u64("+17", 0, 0, 17);
    check_u64("101", 2, 0, 5);
    check_u64("zz", 36, 0, 35 * 36 + 35);
    check_u64("", 10, -EINVAL, 0);
    check_u64("12x", 10, -EINVAL, 0);
    check_u64("0x", 0, -EINVAL, 0);
    check_u64("08", 0, -EINVAL, 0);
    check_u64("-1", 10, -EINVAL, 0);
    check_u64(" 1", 10, -EINVAL, 0);
    check_u64("1\n\n", 10, -EINVAL, 0);
    CHECK_EQ(str_to_s64("-9223372036854775808", 10, &value), 0);
    CHECK_EQ(value, INT64_MIN);
    CHECK_EQ(str_to_s64("9223372036854775807", 10, &value), 0);
    CHECK_EQ(value, INT64_MAX);
    CHECK_EQ(str_to_s64("9223372036854775808", 10, &value), -ERANGE);
    CHECK_EQ(str_to_s64("-9223372036854775809", 10, &value), -ERANGE);
    CHECK_EQ(str_to_s64("-+1", 10, &value), -EINVAL);
}

TEST(sizes_have_suffixes)
{
    const char *end;
    u64 value = 0;

    CHECK_EQ(str_to_size("64M", NULL, &value), 0);
    CHECK_EQ(value, 64UL << 20);
    CHECK_EQ(str_to_size("0x10k", NULL, &value), 0);
    CHECK_EQ(value, 16384);
    CHECK_EQ(str_to_size("3G@4", &end, &value), 0);
    CHECK_EQ(value, 3UL << 30);
    CHECK_STR(end, "@4");
    CHECK_EQ(str_to_size("3G@4", NULL, &value), -EINVAL);
    CHECK_EQ(str_to_size("16777216T", NULL, &value), -ERANGE);
    CHECK_EQ(str_to_size("M", NULL, &value), -EINVAL);
}

TEST(hash_of_a_path_component_is_that_of_its_bytes)
{
    _Alignas(8) char path[64];

    for (int op = 0; op < 200000; op++) {
        size_t start = unit_random_below(20), size = unit_random_below(30);
        u64 seed = unit_random(), hash;

        for (size_t i = 0; i < start; i++) /* what is before may not matter */
            path[i] = "/\0.a"[unit_random_below(4)];
        for (size_t i = 0; i < size; i++) /* bytes that differ little from the ends */
            path[start + i] = "\x01.0ab\xaf\x80\xff"[unit_random_below(8)];
        path[start + size] = unit_random_below(2) ? '/' : 0;
        path[start + size + 1] = 0;
        CHECK_EQ(hash_component(path + start, seed, &hash), size);
        CHECK_EQ(hash, hash_bytes(path + start, size, seed));
    }
}

/* Names such as file names and numbers fill the buckets evenly: with as many names as buckets, no
 * bucket holds more than a dozen. */
TEST(hash_spreads)
{
    enum { BUCKETS = 1 << 14 };
    static u8 low[BUCKETS], by_u64[BUCKETS];
    char name[16];

    memset(low, 0, sizeof(low));
    memset(by_u64, 0, sizeof(by_u64));
    for (int i = 0; i < BUCKETS; i++) {
        int length = sprintf(name, "file%d.c", i);

        CHECK(++low[hash_bytes(name, length, 1) % BUCKETS] <= 12);
        CHECK(++by_u64[hash_u64((u64)i << 12, 14)] <= 12);
    }
    CHECK(hash_bytes("a", 1, 0) != hash_bytes("a\0", 2, 0));
    CHECK(hash_bytes("", 0, 1) != hash_bytes("", 0, 2));
    CHECK(hash_bytes("abcdefgh", 8, 1) != hash_bytes("abcdefgh\0", 9, 1));
}

TEST(ring_is_a_queue_of_bytes)
{
    u8 buffer[16], queue[16], bytes[32];
    struct byte_ring ring;
    u32 used = 0;

    byte_ring_init(&ring, buffer, sizeof(buffer));
    ring.head = ring.tail = -100; /* so that the positions wrap in the test */
    for (int op = 0; op < 300000; op++) {
        u32 count = unit_random_below(20), done;
        u8 byte = unit_random();

        switch (unit_random_below(8)) {
        case 0:
            CHECK_EQ(byte_ring_put(&ring, byte), used < 16);
            if (used < 16)
                queue[used++] = byte;
            break;
        case 1:
            CHECK_EQ(byte_ring_get(&ring), used ? queue[0] : -1);
            if (used)
                memmove(queue, queue + 1, --used);
            break;
        case 2:
            CHECK_EQ(byte_ring_unput(&ring), used ? queue[used - 1] : -1);
            used -= used != 0;
            break;
        case 3:
        case 4:
            for (u32 i = 0; i < count; i++)
                bytes[i] = unit_random();
            done = byte_ring_write(&ring, bytes, count);
            CHECK_EQ(done, min(count, 16 - used));
            memcpy(queue + used, bytes, done);
            used += done;
            break;
        case 5:
        case 6:
            done = byte_ring_read(&ring, bytes, count);
            CHECK_EQ(done, min(count, used));
            CHECK_EQ(__builtin_memcmp(bytes, queue, done), 0);
            memmove(queue, queue + done, used -= done);
            break;
        case 7:
            done = byte_ring_skip(&ring, count / 4);
            memmove(queue, queue + done, used -= done);
            break;
        }
        CHECK_EQ(byte_ring_used(&ring), used);
        CHECK_EQ(byte_ring_space(&ring), 16 - used);
        for (u32 i = 0; i < used; i++)
            CHECK_EQ(byte_ring_at(&ring, i), queue[i]);
    }
    byte_ring_clear(&ring);
    CHECK(byte_ring_empty(&ring));
}
