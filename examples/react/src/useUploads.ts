import { useCallback, useState, useSyncExternalStore } from "react";
import { createQueue } from "r2-upload-broker-client";
import type { Item, Queue, QueueOptions, Total } from "r2-upload-broker-client";

export interface Uploads {
  queue: Queue;
  items: readonly Item[];
  total: Total;
}

/**
 * A queue of uploads as state: the component renders at each report. The options are those of the first render.
 *
 * The uploads live as long as the page. Call this in a component that stays, and pass the result down.
 */
export function useUploads(options: QueueOptions): Uploads {
  const [queue] = useState(() => createQueue(options));
  const subscribe = useCallback((onChange: () => void) => queue.on("progress", onChange), [queue]);
  const total = useSyncExternalStore(subscribe, () => queue.total, () => queue.total);
  return { queue, items: queue.items, total };
}
