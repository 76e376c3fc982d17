/* SPDX-License-Identifier: BSD-3-Clause */
/* What the compiler does not give portably. */
#ifndef NB_BASE_CPU_H
#define NB_BASE_CPU_H

static inline void nb_cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
