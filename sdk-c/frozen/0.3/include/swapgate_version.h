/*
 * swapgate_version.h: the negotiation of sg_plugin_entry(), for plugins in C and C++.
 *
 * Not part of the contract, which is swapgate.h alone: a convenience, so that every plugin decides by the same rule and
 * refuses with the same sentence as the Rust SDK. Needs no library. The tests compare the texts to the letter.
 */
#ifndef SWAPGATE_VERSION_H
#define SWAPGATE_VERSION_H

#include "swapgate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends a text; what does not fit is cut off. */
static inline void sg_version_text(sg_error_buf *to, const char *text) {
    while (*text != '\0' && to->len < to->cap) to->ptr[to->len++] = (uint8_t)*text++;
}

static inline void sg_version_number(sg_error_buf *to, uint32_t number) {
    char digits[11];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do digits[--at] = (char)('0' + number % 10); while ((number /= 10) != 0);
    sg_version_text(to, digits + at);
}

/* One version, or the first and the last of several. */
static inline void sg_version_range(sg_error_buf *to, uint32_t major, uint32_t min_minor, uint32_t max_minor) {
    sg_version_number(to, major);
    sg_version_text(to, ".");
    sg_version_number(to, min_minor);
    if (min_minor == max_minor) return;
    sg_version_text(to, " to ");
    sg_version_number(to, major);
    sg_version_text(to, ".");
    sg_version_number(to, max_minor);
}

/*
 * May this plugin and this gateway talk? Sets `out->abi_minor` and answers SG_OK, or writes what is needed, what is
 * offered and what to do, and answers SG_E_VERSION. SG_E_INVALID: the arguments are not what the contract says. The
 * plugin is one for exactly the version of its header, which is all there is until 1.0.
 */
static inline int32_t sg_negotiate(const sg_entry_args *args, sg_entry_out *out) {
    if (!args || !out || args->struct_size < sizeof *args || out->struct_size < sizeof *out) return SG_E_INVALID;
    if (args->abi_major == SG_ABI_MAJOR && args->abi_min_minor == SG_ABI_MINOR && args->abi_max_minor == SG_ABI_MINOR) {
        out->abi_minor = SG_ABI_MINOR;
        return SG_OK;
    }
    const uint64_t needed = (uint64_t)SG_ABI_MAJOR << 32 | SG_ABI_MINOR;
    const uint64_t offered = (uint64_t)args->abi_major << 32 | args->abi_max_minor;
    sg_error_buf *why = &out->error;
    why->len = 0;
    sg_version_text(why, "it needs plugin contract ");
    sg_version_range(why, SG_ABI_MAJOR, SG_ABI_MINOR, SG_ABI_MINOR);
    sg_version_text(why, ", this gateway offers ");
    sg_version_range(why, args->abi_major, args->abi_min_minor, args->abi_max_minor);
    sg_version_text(why, "; ");
    if (needed > offered) {
        sg_version_text(why, "run a gateway that offers ");
        sg_version_range(why, SG_ABI_MAJOR, SG_ABI_MINOR, SG_ABI_MINOR);
        sg_version_text(why, ", or ");
    }
    sg_version_text(why, "build the plugin for ");
    sg_version_range(why, args->abi_major, args->abi_min_minor, args->abi_max_minor);
    return SG_E_VERSION;
}

#ifdef __cplusplus
}
#endif

#endif /* SWAPGATE_VERSION_H */
