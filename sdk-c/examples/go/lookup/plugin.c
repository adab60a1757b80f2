#include "plugin.h"

SWAPGATE_GO_PLUGIN("lookup-go", "0.1.0");
