/**
 * The grids that a picture is drawn on, coarse to fine, and their token ranges.
 *
 * <p>Pure Java; the tables are those of Infinity's dynamic resolution.
 */
@NullMarked
package io.heatkv.scale;

import org.jspecify.annotations.NullMarked;
