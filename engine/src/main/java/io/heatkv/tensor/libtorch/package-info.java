/**
 * The binding of libtorch's stable C ABI through the Foreign Function &amp; Memory API.
 *
 * <p>The only package that uses that API. {@link io.heatkv.tensor.libtorch.LibTorch} is the way in:
 * it finds a library, opens it once per process and runs operators.
 */
@NullMarked
package io.heatkv.tensor.libtorch;

import org.jspecify.annotations.NullMarked;
