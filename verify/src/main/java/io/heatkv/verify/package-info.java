/**
 * Comparison with recorded outputs of the official code: how anyone checks a build, a device or a
 * libtorch version.
 */
@NullMarked
package io.heatkv.verify;

import org.jspecify.annotations.NullMarked;
