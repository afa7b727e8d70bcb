/** How much of something a test does: little in every run, `soak` of it when CARILLON_SOAK is set. */
export const count = (normal: number, soak: number): number => (process.env.CARILLON_SOAK ? soak : normal);
