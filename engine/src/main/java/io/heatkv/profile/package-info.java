/** Files of calibrations: what was measured of a model, exactly, so that runs merge and resume. */
@NullMarked
package io.heatkv.profile;

import org.jspecify.annotations.NullMarked;
