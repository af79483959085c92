#pragma once
// Everything of the public API.

#include "edgewise/array.h"
#include "edgewise/data.h"
#include "edgewise/model.h"
#include "edgewise/optimize.h"
#include "edgewise/result.h"
#include "edgewise/session.h"
#include "edgewise/training.h"
