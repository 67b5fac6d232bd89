/* SPDX-License-Identifier: MIT */
// unit:
#include "unit.h"
#define vsnprintf vellum_vsnprintf
#define snprintf  vellum_snprintf
#include "lib/format.c"
#undef snprintf
#undef vsnprintf

/* the C library's */
int snprintf(char *buffer, size_t size, const char *format, ...);
char *strcat(char *to, const char *from);
char *strncat(char *to, const char *from, size_t size);

/* Our result and the C library's for the same conversion. */
#pragma GCC diagnostic ignored "-Wformat"
#define CHECK_LIKE_LIBC(...)                                                                       \
    do {                                                                                           \
        char ours[400], libc[400];                                                                 \
        CHECK_EQ(vellum_snprintf(ours, sizeof(ours), __VA_ARGS__),                                 \
                 snprintf(libc, sizeof(libc), __VA_ARGS__));                                       \
        CHECK_STR(ours, libc);                                                                     \
    } while (0)

TEST(format_plain_conversions)
{
    static char *volatile null;

    CHECK_LIKE_LIBC("no conversion");
    CHECK_LIKE_LIBC("%d %i %u", -1, INT32_MIN, UINT32_MAX);
    CHECK_LIKE_LIBC("%ld %lu %lld %llu", INT64_MIN, UINT64_MAX, INT64_MIN, UINT64_MAX);
    CHECK_LIKE_LIBC("%zu %zd %zx %jd %td", SIZE_MAX, (ssize_t)-5, (size_t)77, (intmax_t)-3,
                    (ptrdiff_t)4);
    CHECK_LIKE_LIBC("%hhd %hhu %hd %hu", 200, 511, 40000, 70000);
    CHECK_LIKE_LIBC("%x %X %o %#x %#X %#o %#o", 0xbeef, 0xbeef, 8, 255, 255, 8, 0);
    CHECK_LIKE_LIBC("%c%c%% %s", 'a', 'b', "text");
    CHECK_LIKE_LIBC("%p", (void *)0x1234);
    CHECK_LIKE_LIBC("%s|%10s", null, null);
    for (u64 n = 1, i = 0; i < 20; i++, n *= 10)
        CHECK_LIKE_LIBC("%lu %lu %lu", n - 1, n, n + 1);
}

TEST(format_random_conversions_agree_with_the_c_library)
{
    static const char *const lengths[] = {"", "hh", "h", "l", "ll", "z"};

    for (int op = 0; op < 500000; op++) {
        char format[64] = "<%";
        u64 value = unit_random() >> unit_random_below(64);
        int size;

        for (int i = unit_random_below(3); i > 0; i--)
            strncat(format, &"-+ #0"[unit_random_below(5)], 1);
        if (unit_random_below(2))
            sprintf(format + strlen(format), "%d", (int)unit_random_below(30));
        if (unit_random_below(3) == 0)
            sprintf(format + strlen(format), ".%d", (int)unit_random_below(30));
        size = unit_random_below(ARRAY_SIZE(lengths));
        strcat(format, lengths[size]);
        strncat(format, &"diuxXo"[unit_random_below(6)], 1);
        strcat(format, ">%s");
        if (size >= 3)
            CHECK_LIKE_LIBC(format, value, "end");
        else
            CHECK_LIKE_LIBC(format, (int)value, "end");
    }
}

TEST(format_width_and_precision_of_strings)
{
    char not_ended[3] = "abc";

    CHECK_LIKE_LIBC("[%8s] [%-8s] [%.2s] [%8.2s] [%-*s] [%.*s]", "abc", "abc", "abc", "abc", 6,
                    "abc", 1, "abc");
    CHECK_LIKE_LIBC("[%.*s]", 3, not_ended);
    CHECK_LIKE_LIBC("[%*d] [%*d] [%.*d]", 5, 1, -5, 1, -1, 7);
    CHECK_LIKE_LIBC("[%5c] [%-5c] [%.0d] [%5.0x]", 'x', 'y', 0, 0);
    CHECK_LIKE_LIBC("[%100d] [%-100s]", 5, "x");
}

TEST(format_cuts_at_the_buffers_end)
{
    char buffer[8] = "xxxxxxx";

    CHECK_EQ(vellum_snprintf(buffer, sizeof(buffer), "%s", "0123456789"), 10);
    CHECK_STR(buffer, "0123456");
    CHECK_EQ(scnprintf(buffer, sizeof(buffer), "%d%d", 123456, 789), 7);
    CHECK_STR(buffer, "1234567");
    CHECK_EQ(scnprintf(buffer, sizeof(buffer), "%d", 12), 2);
    CHECK_EQ(vellum_snprintf(buffer, 1, "abc"), 3);
    CHECK_STR(buffer, "");
    buffer[0] = 'q';
    CHECK_EQ(vellum_snprintf(buffer, 0, "abc"), 3);
    CHECK_EQ(scnprintf(buffer, 0, "abc"), 0);
    CHECK_EQ(buffer[0], 'q');
    CHECK_EQ(vellum_snprintf(NULL, 0, "%d", 12345), 5);
}

TEST(format_shows_unknown_conversions_as_they_are)
{
    char buffer[32];

    vellum_snprintf(buffer, sizeof(buffer), "a%y %5k%");
    CHECK_STR(buffer, "a%y %5k%");
}

TEST(format_u64_writes_digits_only)
{
    char buffer[24];

    memset(buffer, '#', sizeof(buffer));
    CHECK_EQ(format_u64(buffer, UINT64_MAX), 20);
    CHECK_EQ(memcmp(buffer, "18446744073709551615#", 21), 0);
    CHECK_EQ(format_u64(buffer, 0), 1);
    CHECK_EQ(memcmp(buffer, "08", 2), 0);
}
