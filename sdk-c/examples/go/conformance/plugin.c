#include "plugin.h"

SWAPGATE_GO_PLUGIN("conformance-go", "0.1.0");
