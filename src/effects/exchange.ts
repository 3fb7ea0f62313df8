import type { Dispatcher } from 'undici';

export type Answer = {
  readonly status: number;
  readonly retryAfter: string | string[] | undefined;
  /** The first part of the body, on one line; empty for a success. */
  readonly excerpt: string;
};

/** How much of a refusal's body is kept as its reason, in characters; UTF-8 has up to four bytes for each. */
const excerptLength = 200;
const excerptBytes = 4 * excerptLength;

/** How much of a body is read, in bytes, and for how long, in ms. */
const longestBody = 64 * 1024;
const bodyTimeout = 1_000;

/**
 * One HTTP request and its answer. Of a success the status is all that counts: its body is not waited for. Bodies
 * are read to their end, so that the connection can be used again; one that is large or slow is closed instead.
 * @throws what ended the connection before a status came, or the reason of `signal`
 */
export const exchange = (
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  signal: AbortSignal,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    dispatcher.dispatch(request, new Exchange(signal, resolve, reject));
  });

export const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** undici's own `request` makes a stream and its listeners for each answer: half as much again as the exchange. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #signal: AbortSignal;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #giveUp = () => {
    this.#reject(this.#signal.reason);
    this.#controller?.abort(this.#signal.reason as Error);
  };
  #controller: Dispatcher.DispatchController | undefined;
  #head: Pick<Answer, 'status' | 'retryAfter'> | undefined;
  #late: NodeJS.Timeout | undefined;
  #body: Buffer[] = [];
  #length = 0;

  constructor(signal: AbortSignal, resolve: (answer: Answer) => void, reject: (error: unknown) => void) {
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    signal.addEventListener('abort', this.#giveUp);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#signal.aborted) controller.abort(this.#signal.reason as Error); // before, there was nothing to end
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return; // the answer is still to come
    this.#head = { status, retryAfter: headers['retry-after'] };
    this.#late = setTimeout(
      () => controller.abort(new Error('its body takes too long')),
      bodyTimeout,
    ).unref();
    if (isSuccess(status)) this.#tell(this.#head);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#length < excerptBytes) this.#body.push(chunk);
    this.#length += chunk.length;
    if (this.#length >= excerptBytes) this.#tell(this.#head!);
    if (this.#length > longestBody) controller.abort(new Error('its body is too long'));
  }

  onResponseEnd(): void {
    this.#tell(this.#head!);
    this.#end();
  }

  /** Of a body that ends too soon, the status says enough. */
  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#head) this.#tell(this.#head);
    else this.#reject(error);
    this.#end();
  }

  #tell({ status, retryAfter }: Pick<Answer, 'status' | 'retryAfter'>): void {
    const excerpt = isSuccess(status) ? '' : oneLine(Buffer.concat(this.#body).toString());
    this.#resolve({ status, retryAfter, excerpt });
  }

  #end(): void {
    clearTimeout(this.#late);
    this.#signal.removeEventListener('abort', this.#giveUp);
  }
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim().slice(0, excerptLength);
