import type { World } from './world.ts'

/**
 * One run of a gateway. When it has died, nothing that its code still does reaches anybody, and
 * nothing that it waits for ever comes.
 */
export class Process {
  readonly name: string
  readonly #world: World
  alive = true

  constructor(name: string, world: World) {
    this.name = name
    this.#world = world
  }

  /** Asks the world for something. */
  ask<T>(begin: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!this.alive) return
      begin().then(
        answer => this.alive && resolve(answer),
        (error: unknown) => this.alive && reject(error),
      )
    })
  }

  after(milliseconds: number, run: () => void): () => void {
    return this.#world.after(milliseconds, () => this.alive && run())
  }

  tell(what: string): void {
    if (this.alive) this.#world.tell(this.name, what)
  }
}
