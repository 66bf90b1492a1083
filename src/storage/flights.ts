/** Single flight within a process: work by name, done once for all who ask while it is under way, and ended when the last of them has gone. */
interface Flight<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiters: number;
}

export class Flights<T> {
  private readonly flights = new Map<string, Flight<T>>();

  /** The result of the work of this name that is under way, or of `begin`. @throws what it throws; the reason of `signal`, which ends only this wait */
  async join(name: string, begin: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const flight = this.flights.get(name) ?? this.start(name, begin);
    flight.waiters++;
    try {
      return await orAborted(flight.result, signal);
    } finally {
      flight.waiters--;
      if (flight.waiters === 0 && signal?.aborted) {
        flight.controller.abort(signal.reason);
        // Who comes now begins anew rather than share the end of this.
        if (this.flights.get(name) === flight) this.flights.delete(name);
        await flight.result.catch(() => undefined);
      }
    }
  }

  private start(name: string, begin: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const result = begin(controller.signal);
    const flight = { result, controller, waiters: 0 };
    this.flights.set(name, flight);
    const land = () => {
      if (this.flights.get(name) === flight) this.flights.delete(name);
    };
    result.then(land, land);
    return flight;
  }
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
