/**
 * Model files as names, shapes and bytes: safetensors and what torch.save writes, single or
 * sharded, mapped into memory and checked in full before the first tensor is handed out. Nothing
 * here computes, no pickle is ever run, and no length that a file declares is believed before the
 * bytes are proven present.
 */
@NullMarked
package io.heatkv.checkpoint;

import org.jspecify.annotations.NullMarked;
