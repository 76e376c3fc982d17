/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine/desc_keys.h"

/* X(key, kind, member, what it is) */
#define VTD_KEYS(X)                                                                                           \
	X("haw", NUMBER, haw, "host address width")                                                           \
	X("mgaw", NUMBER, mgaw, "guest address width of the second stage: 39, 48 or 57")                      \
	X("levels", LEVELS, levels5, "most levels of a table: 4 or 5")                                        \
	X("domain-bits", NUMBER, nd_lg2, "log2 of the number of domain ids")                                  \
	X("pasid-bits", NUMBER, pasid_bits, "width of a PASID, 0: none")                                      \
	X("scalable", BOOL, scalable, "scalable mode")                                                        \
	X("first-stage", BOOL, first_stage, "first-stage translation")                                        \
	X("second-stage", BOOL, second_stage, "second-stage translation")                                     \
	X("nested", BOOL, nested, "nested translation")                                                       \
	X("pass-through", BOOL, pass_through, "pass-through")                                                 \
	X("fs-1g", BOOL, fs_1g, "1 GiB pages in the first stage")                                             \
	X("ss-2m", BOOL, ss_2m, "2 MiB pages in the second stage")                                            \
	X("ss-1g", BOOL, ss_1g, "1 GiB pages in the second stage")                                            \
	X("coherent", BOOL, coherent, "table walks snoop the caches")                                         \
	X("snoop-control", BOOL, snoop_control, "snooping can be forced")                                     \
	X("ss-dirty", BOOL, ss_dirty, "accessed and dirty bits in the second stage")                          \
	X("ext-access", BOOL, ext_access, "extended-accessed bits in the first stage")                        \
	X("rid-pasid", BOOL, rid_pasid, "requests without PASID may use any PASID's entry")                   \
	X("supervisor", BOOL, supervisor, "supervisor requests")                                              \
	X("exec-request", BOOL, exec_request, "execute requests")                                             \
	X("device-tlb", BOOL, device_tlb, "device TLBs (ATS)")                                                \
	X("no-write-flag", BOOL, no_write_flag, "translation requests can say that nothing will be written")   \
	X("page-requests", BOOL, page_requests, "a queue of page requests (PRI)")                             \
	X("interrupt-remapping", BOOL, intr_remap, "interrupt remapping")                                     \
	X("x2apic", BOOL, x2apic, "interrupts to 32-bit APIC ids")                                            \
	X("protected-low", BOOL, pmr_low, "a protected memory region below 4 GiB")                            \
	X("protected-high", BOOL, pmr_high, "a protected memory region anywhere")                             \
	X("caching-mode", BOOL, caching_mode, "not-present entries may be cached")                            \
	X("write-buffer-flush", BOOL, write_buffer_flush, "writes to tables must be flushed")                 \
	X("fault-records", NUMBER, fault_records, "fault recording registers, 1 to 64")

const struct desc_vtd_key desc_vtd_keys[] = {
#define X(key, k, member, text) {key, DESC_KEY_##k, offsetof(struct nb_desc_vtd, member), text},
	VTD_KEYS(X)
#undef X
	{NULL, DESC_KEY_NUMBER, 0, NULL},
};

const char *const desc_vtd_key_names[] = {
#define X(key, k, member, text) key,
	VTD_KEYS(X)
#undef X
		NULL,
};
