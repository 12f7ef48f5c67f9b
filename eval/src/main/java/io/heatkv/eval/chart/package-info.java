/** Charts of calibrations and schedules, drawn with XChart and written as PNG or SVG. */
@NullMarked
package io.heatkv.eval.chart;

import org.jspecify.annotations.NullMarked;
