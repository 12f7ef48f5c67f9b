/** A service that draws pictures over HTTP, admitted by memory that is known before it is taken. */
@NullMarked
package io.heatkv.server;

import org.jspecify.annotations.NullMarked;
