/** Pictures for LangChain4j, drawn in the same process. */
@NullMarked
package io.heatkv.langchain4j;

import org.jspecify.annotations.NullMarked;
