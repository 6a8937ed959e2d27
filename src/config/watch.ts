import { createHash } from 'node:crypto'
import { type FSWatcher, realpathSync, statSync, watch } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { PEM_BYTES_MAX } from './certificate-files.ts'
import { CONFIG_BYTES_MAX } from './load.ts'
import { filesNamedIn } from './named-files.ts'
import { readTextFile } from './text-file.ts'
import type { VariableSources } from './variables.ts'

export interface ConfigWatch {
  close(): void
}

export interface WatchOptions {
  /** Where variables in names of files are looked up; default: the process's environment. */
  readonly env?: VariableSources['env']
  /** How long the directory must be quiet: one save is several events. */
  readonly debounceMs?: number
  /** How long it is waited for that quiet: a store beside the file may never leave any. */
  readonly debounceMsMax?: number
  /** For file systems that tell of nothing (network mounts), and directories that were replaced. */
  readonly recheckMs?: number
}

const DEBOUNCE_MS = 200
const DEBOUNCE_MS_MAX = 2_000
const RECHECK_MS = 30_000

/**
 * Calls back when the content of the configuration file, or of a file that it names, is another
 * than before.
 *
 * It watches directories, because a file that is replaced takes its watch with it: editors rename a
 * new file over the old one, and Kubernetes swaps a symbolic link further up the path. Start it
 * before the configuration is loaded, so that no change falls between the two.
 */
export function watchConfig(
  file: string,
  onChange: () => void,
  options: WatchOptions = {},
): ConfigWatch {
  const { debounceMs = DEBOUNCE_MS, debounceMsMax = DEBOUNCE_MS_MAX } = options
  const { recheckMs = RECHECK_MS, env = process.env } = options
  const watchers = new Map<string, FSWatcher>()
  const readState = createStateReader(resolve(file), env)
  let last = readState()
  let quiet: NodeJS.Timeout | undefined
  let latest: NodeJS.Timeout | undefined
  let closed = false

  const stopWaiting = () => {
    clearTimeout(quiet)
    clearTimeout(latest)
    latest = undefined
  }
  const check = () => {
    stopWaiting()
    const state = readState()
    watchDirectories(watchers, state.directories, onEvent)
    // In the middle of a swap nothing can be read; another event follows it.
    if (state.hash === null || state.hash === last.hash) return
    last = state
    onChange()
  }
  const onEvent = () => {
    if (closed) return
    clearTimeout(quiet)
    quiet = setTimeout(check, debounceMs)
    latest ??= setTimeout(check, debounceMsMax)
  }

  watchDirectories(watchers, last.directories, onEvent)
  const recheck = setInterval(check, recheckMs)
  recheck.unref()
  return {
    close() {
      closed = true
      stopWaiting()
      clearInterval(recheck)
      watchDirectories(watchers, new Set(), onEvent)
    },
  }
}

interface State {
  /** Of everything that the configuration is made from; null when the file cannot be read now. */
  readonly hash: string | null
  readonly directories: ReadonlySet<string>
}

function createStateReader(path: string, env: VariableSources['env']): () => State {
  // Most often the text is the one of last time, and parsing a long one takes a while.
  let text: string | null = null
  let named: readonly string[] = []
  return () => {
    const config = readTextFile(path, CONFIG_BYTES_MAX)
    if (config.kind === 'unreadable') return { hash: null, directories: directoriesOf([path]) }
    if (config.text !== text) named = filesNamedIn(config.text, { env, directory: dirname(path) })
    text = config.text
    const hash = createHash('sha256').update(text)
    for (const file of named) {
      hash.update(`\0${file}\0${contentOf(file)}`)
    }
    return { hash: hash.digest('hex'), directories: directoriesOf([path, ...named]) }
  }
}

/** The text of a small file; of any other, what another content would change. */
function contentOf(file: string): string {
  const read = readTextFile(file, PEM_BYTES_MAX)
  if (read.kind === 'text') return read.text
  try {
    const { size, mtimeMs, ino } = statSync(file)
    return `${size} ${mtimeMs} ${ino}`
  } catch {
    return ''
  }
}

/** Where each file is named, and where it really is. */
function directoriesOf(files: readonly string[]): ReadonlySet<string> {
  return new Set(files.flatMap(file => [dirname(file), dirname(realPath(file))]))
}

function realPath(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file
  }
}

/** Makes `watchers` watch exactly these directories. One that cannot be watched is tried again. */
function watchDirectories(
  watchers: Map<string, FSWatcher>,
  directories: ReadonlySet<string>,
  onEvent: () => void,
): void {
  for (const [directory, watcher] of watchers) {
    if (directories.has(directory)) continue
    watcher.close()
    watchers.delete(directory)
  }
  for (const directory of directories) {
    if (watchers.has(directory)) continue
    try {
      const watcher = watch(directory, { persistent: false })
      watchers.set(directory, watcher)
      watcher.on('change', onEvent)
      watcher.on('error', () => {
        watcher.close()
        watchers.delete(directory)
        onEvent()
      })
    } catch {
      // It does not exist now; the next check tries again.
    }
  }
}
