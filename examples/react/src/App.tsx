import { useUploads } from "./useUploads.ts";

const query = new URLSearchParams(location.search);
const broker = query.get("broker") ?? "http://localhost:8000";
const getToken = () => query.get("token") ?? ""; // your own function: it requests a token for the signed-in user

export function App() {
  const { queue, items, total } = useUploads({ broker, getToken });
  return (
    <main>
      <h1>Uploads</h1>
      <input type="file" multiple aria-label="Files" onChange={({ target }) => queue.add(target.files ?? [])} />
      <progress value={total.loadedBytes} max={total.totalBytes || 1} aria-label="All files" />
      <button onClick={queue.isPaused ? queue.resume : queue.pause}>{queue.isPaused ? "Resume all" : "Pause all"}</button>
      <ul>
        {items.map((item) => (
          <li key={item.id}>
            {item.filename}: {item.track?.key ?? item.error?.message ?? item.progress.phase}
            {item.progress.phase === "failed" && <button onClick={item.retry}>Retry</button>}
            {item.progress.phase !== "ready" && <button onClick={item.remove}>Remove</button>}
          </li>
        ))}
      </ul>
    </main>
  );
}
