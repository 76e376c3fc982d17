/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a hook is defined.
 *
 *   HOOK(int, close, (int fd)) { ... }
 *   HOOK_ALIAS(open64, open)
 *
 * The C name is hook_<symbol>, the linker's is the symbol: so the headers' own declarations, with their attributes and
 * renamings, do not get in the way. On this machine off_t has 64 bits and every foo64 is foo.
 * Every symbol must also stand in exports.map (a test compares).
 */
#ifndef NB_RUN_HOOK_H
#define NB_RUN_HOOK_H

#define HOOK_EXPORT __attribute__((visibility("default"), used))

#define HOOK(res, symbol, params)                                                                             \
	HOOK_EXPORT res hook_##symbol params __asm__(#symbol);                                                \
	res hook_##symbol params

#define HOOK_ALIAS(symbol, target)                                                                            \
	extern __typeof__(hook_##target) hook_##symbol __asm__(#symbol)                                       \
		__attribute__((alias(#target), visibility("default")));

/* Call the next function of that name, or before the constructor ran make the system call. */
#define PASS(name, args, raw) (next.name ? next.name args : (__typeof__(next.name args))sys_ret(raw))

#endif
