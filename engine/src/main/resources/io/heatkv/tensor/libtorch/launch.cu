// Comes first in the source of all kernels.

// What each kernel begins with. On Hopper it is launched while the one before it still runs, so that
// no launch has to be waited for; here it waits until all that was queued before it is done, and lets
// the next one be launched.
static __device__ void awaitEarlier() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

