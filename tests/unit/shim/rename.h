/* SPDX-License-Identifier: MIT */
/* Gives our functions that the C library has too names of their own. */
#define memcmp    vellum_memcmp
#define memchr    vellum_memchr
#define strlen    vellum_strlen
#define strnlen   vellum_strnlen
#define strcmp    vellum_strcmp
#define strncmp   vellum_strncmp
#define strchr    vellum_strchr
#define strrchr   vellum_strrchr
#define strstr    vellum_strstr
#define strspn    vellum_strspn
#define strcspn   vellum_strcspn
#define vsnprintf vellum_vsnprintf
#define snprintf  vellum_snprintf
