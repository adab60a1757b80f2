/*
 * What a plugin in Go says in a C file of its package main, once:
 *
 *     #include "plugin.h"
 *     SWAPGATE_GO_PLUGIN("my-plugin", "0.1.0");
 *
 * In C, because the gateway reads it from the file before any code runs, the runtime of Go included.
 */
#ifndef SWAPGATE_GO_PLUGIN_H
#define SWAPGATE_GO_PLUGIN_H

#include "swapgate.h"

#define SWAPGATE_GO_PLUGIN(plugin_id, plugin_version) \
    const sg_descriptor sg_plugin_abi = { \
        .magic = {'S', 'W', 'A', 'P', 'G', 'A', 'T', 'E'}, \
        .struct_size = sizeof(sg_descriptor), \
        .abi_major = SG_ABI_MAJOR, \
        .abi_min_minor = SG_ABI_MINOR, \
        .abi_max_minor = SG_ABI_MINOR, \
        .sdk = "go 0.1.0", \
        .toolchain = "cgo, cc " __VERSION__, \
        .id = plugin_id, \
        .version = plugin_version, \
    }

#endif /* SWAPGATE_GO_PLUGIN_H */
