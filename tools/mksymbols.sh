#!/bin/sh
# SPDX-License-Identifier: MIT
# Read `nm -n` of the kernel, write its table of function symbols as assembly:
#   u64 base; u32 count; u32 offset[count] (from base); then the names, each ended
#   by a zero byte, in the order of the offsets.
# A symbol of another kind that follows a function gets in with an empty name: it
# marks where the function ends. Symbols outside the kernel half (the very first
# instructions, which run at physical addresses) are left out.
# With the argument "data", that of debug builds, variables are in the table too.
# The reader is kernel/trace/symbols.c.
awk -v data="${1:+1}" '
BEGIN { n = 0; text = 0 }
$1 !~ /^f/ { next }
$2 ~ /^[tT]$/ && $3 !~ /^(\$|\.L|__pfx)/ { addr[n] = $1; name[n] = $3; n++; text = 1 }
data && $2 ~ /^[dDbB]$/ { addr[n] = $1; name[n] = $3; n++; text = 0; next }
$2 ~ /^[dDrRbB]$/ && text { addr[n] = $1; name[n] = ""; n++; text = 0 }
END {
    print ".section .symtab_blob,\"a\""
    print ".balign 8"
    print ".globl symbol_table"
    print "symbol_table:"
    print ".quad 0x" addr[0]
    print ".long " n
    for (i = 0; i < n; i++) print ".long 0x" addr[i] " - 0x" addr[0]
    for (i = 0; i < n; i++) print ".asciz \"" name[i] "\""
    print ".section .note.GNU-stack,\"\",@progbits"
}'
