/** Memory that many requests share. */
export interface Room {
  /** False: there is not so much left, and nothing was taken. */
  take(bytes: number): boolean
  giveBack(bytes: number): void
}

export function createRoom(bytesMax: number): Room {
  let taken = 0
  return {
    take(bytes) {
      if (taken + bytes > bytesMax) return false
      taken += bytes
      return true
    },
    giveBack(bytes) {
      taken -= bytes
    },
  }
}
