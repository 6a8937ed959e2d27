import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type WatchOptions, watchConfig } from '../../src/config/watch.ts'

const FAST = { debounceMs: 5, recheckMs: 1_000_000 }
const closers: (() => void)[] = []

afterEach(() => {
  for (const close of closers.splice(0)) close()
  vi.useRealTimers()
})

function newDirectory(): string {
  return realpathSync(mkdtempSync(join(tmpdir(), 'farebox-watch-')))
}

/** Watches, and hands out one promise for each call. */
function watchChanges(file: string, options: WatchOptions = FAST) {
  let calls = 0
  let wake = () => {}
  const watching = watchConfig(
    file,
    () => {
      calls += 1
      wake()
    },
    options,
  )
  closers.push(watching.close)
  const seen = async (count: number) => {
    while (calls < count)
      await new Promise<void>(resolve => {
        wake = resolve
      })
    expect(calls).toBe(count)
  }
  return { seen, calls: () => calls }
}

describe('a change is seen', () => {
  it('when the file is written over', async () => {
    const file = join(newDirectory(), 'gateway.yaml')
    writeFileSync(file, 'a')
    const { seen } = watchChanges(file)
    writeFileSync(file, 'b')
    await seen(1)
  })

  it('when an editor renames a new file over the old one, again and again', async () => {
    const file = join(newDirectory(), 'gateway.yaml')
    writeFileSync(file, '0')
    const { seen } = watchChanges(file)
    for (const round of [1, 2, 3]) {
      writeFileSync(`${file}.tmp`, String(round))
      renameSync(`${file}.tmp`, file)
      await seen(round)
    }
  })

  it('beside a store that is written to all the time', async () => {
    const here = newDirectory()
    const file = join(here, 'gateway.yaml')
    writeFileSync(file, 'a')
    const { seen } = watchChanges(file, { ...FAST, debounceMs: 200, debounceMsMax: 250 })
    const writes = setInterval(() => writeFileSync(join(here, 'farebox.db'), 'x'), 5)
    closers.push(() => clearInterval(writes))
    writeFileSync(file, 'b')
    await seen(1)
  })

  it('when the file is gone for a while', async () => {
    const file = join(newDirectory(), 'gateway.yaml')
    writeFileSync(file, 'a')
    const { seen } = watchChanges(file)
    rmSync(file)
    writeFileSync(file, 'b')
    await seen(1)
  })

  it('when Kubernetes swaps the directory behind a symbolic link, and swaps it again', async () => {
    const mount = newDirectory()
    const swap = (version: string) => {
      mkdirSync(join(mount, version))
      writeFileSync(join(mount, version, 'gateway.yaml'), version)
      symlinkSync(version, join(mount, '..data_tmp'))
      renameSync(join(mount, '..data_tmp'), join(mount, '..data'))
    }
    swap('..2024_1')
    symlinkSync('..data/gateway.yaml', join(mount, 'gateway.yaml'))
    const { seen } = watchChanges(join(mount, 'gateway.yaml'))
    swap('..2024_2')
    await seen(1)
    rmSync(join(mount, '..2024_1'), { recursive: true })
    swap('..2024_3')
    await seen(2)
    rmSync(join(mount, '..2024_2'), { recursive: true })
    swap('..2024_4')
    await seen(3)
  })

  it('where a symbolic link leads, in another directory', async () => {
    const [here, there] = [newDirectory(), newDirectory()]
    writeFileSync(join(there, 'real.yaml'), 'a')
    symlinkSync(join(there, 'real.yaml'), join(here, 'gateway.yaml'))
    const { seen } = watchChanges(join(here, 'gateway.yaml'))
    writeFileSync(join(there, 'real.yaml'), 'b')
    await seen(1)
  })

  it('in a secret file, and in one that the new content names', async () => {
    const [here, secrets] = [newDirectory(), newDirectory()]
    const file = join(here, 'gateway.yaml')
    const [first, second] = [join(secrets, 'first'), join(newDirectory(), 'second')]
    writeFileSync(first, '1')
    writeFileSync(second, '1')
    writeFileSync(file, `a: \${file:${first}}`)
    const { seen } = watchChanges(file)
    writeFileSync(first, '2')
    await seen(1)
    writeFileSync(file, `a: \${file:${second}}`)
    await seen(2)
    writeFileSync(second, '2')
    await seen(3)
  })

  it('in a file that a route answers with, which need not be text', async () => {
    const here = newDirectory()
    const [file, answer] = [join(here, 'gateway.yaml'), join(here, 'report.pdf')]
    writeFileSync(answer, Buffer.from([0xff, 0xfe]))
    writeFileSync(file, 'routes: {/a: {price: $1, respond: {file: report.pdf}}}')
    const { seen } = watchChanges(file)
    writeFileSync(answer, Buffer.from([0xff, 0xfe, 0xfd]))
    await seen(1)
  })
})

describe('without events, as on a network mount', () => {
  it('looks again now and then, and stays silent until the content is another', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
    const file = join(newDirectory(), 'gateway.yaml')
    writeFileSync(file, 'a')
    const { calls } = watchChanges(file, { debounceMs: 1_000_000, recheckMs: 1000 })
    writeFileSync(file, 'a')
    vi.advanceTimersByTime(1000)
    expect(calls()).toBe(0)
    rmSync(file)
    vi.advanceTimersByTime(1000)
    expect(calls()).toBe(0)
    writeFileSync(file, 'b')
    vi.advanceTimersByTime(1000)
    expect(calls()).toBe(1)
    vi.advanceTimersByTime(5000)
    expect(calls()).toBe(1)
  })

  it('is over when it is closed', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
    const file = join(newDirectory(), 'gateway.yaml')
    writeFileSync(file, 'a')
    const onChange = vi.fn()
    const watching = watchConfig(file, onChange, { recheckMs: 1000 })
    watching.close()
    writeFileSync(file, 'b')
    vi.advanceTimersByTime(10_000)
    expect(onChange).not.toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })
})
