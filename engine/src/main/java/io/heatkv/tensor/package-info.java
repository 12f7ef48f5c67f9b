/**
 * The only compute API of the engine: tensors, the scopes that free them, and the operators used.
 *
 * <p>A {@link io.heatkv.tensor.Tensor} is a handle to native memory that belongs to a {@link
 * io.heatkv.tensor.Scope}; closing the scope frees it. Operators run on the {@link
 * io.heatkv.tensor.Backend} of their operands and put results into the innermost open scope.
 */
@NullMarked
package io.heatkv.tensor;

import org.jspecify.annotations.NullMarked;
