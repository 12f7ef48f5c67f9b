/**
 * Calibration: how much each scale attends to every earlier one, measured while pictures of a few
 * prompts are drawn.
 */
@NullMarked
package io.heatkv.calibrate;

import org.jspecify.annotations.NullMarked;
