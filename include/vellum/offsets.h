/* SPDX-License-Identifier: MIT */
/*
 * For arch/ARCH/offsets.c alone: numbers that assembly needs and only the C compiler knows. The
 * file is compiled to assembly and never assembled; tools/kernel.mk turns its marked lines into
 * <offsets.h>, `#define NAME number`.
 */
#ifndef VELLUM_OFFSETS_H
#define VELLUM_OFFSETS_H

#include <vellum/compiler.h>

#define CONSTANT(name, value)      __asm__ volatile(".ascii \"->" #name " %c0\"" : : "i"(value))
#define OFFSET(name, type, member) CONSTANT(name, offsetof(type, member))

#endif
