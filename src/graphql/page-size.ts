/** How many tasks a page has when nobody says how many. */
export const DEFAULT_PAGE_SIZE = 20;
/** How many tasks a page may have. */
export const MAX_PAGE_SIZE = 100;
