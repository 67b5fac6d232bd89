# How to compile the kernel for x86-64.
CROSS        :=
CLANG_TARGET := --target=x86_64-linux-gnu
ARCH_CFLAGS  := -m64 -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fcf-protection=none
ARCH_LDFLAGS := -m64
UAPI_LINUX   := /usr/include
UAPI_ASM     := /usr/include/x86_64-linux-gnu/asm
