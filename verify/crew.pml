/* Whether all loops of a crew wait for each other, on the real clock:
 * src/crew/crew.c, and wait_beside() of src/lua/drive/together.c. The member 0
 * is the founder. Each statement is one load, one store, or what is done under
 * the lock of the crew; that is taken and given back in steps of their own, since
 * nobody sends under it.
 *
 *   safety  the founder never hears that the crew is stuck while a message is
 *           under way, or while a member does something
 *   told    it hears that at some time, since messages die out
 *
 * What is left out: the members that are added later; and timers and I/O, since a
 * loop that has any does not rest. */

#ifndef MEMBERS
#define MEMBERS 3
#endif
#ifndef SENDS
#define SENDS 3 /* messages that all members send, at most */
#endif

byte news[MEMBERS];    /* has_news(): what was sent and is not heard */
bool rung[MEMBERS];    /* uv_async_send(): the wait ends, or the next one */
bool rests[MEMBERS];   /* UJ_MEMBER_RESTS */
bool left[MEMBERS];
bool busy[MEMBERS];    /* the loop has heard a message, and does what it says */
byte nresting, nmembers = MEMBERS;
bool lock;
bool stuck;            /* uj_crew::is_stuck */
bool heard;
byte nsent;
bool woken_in_vain;    /* somebody outside has woken a member, once */

inline take_lock() { atomic { !lock -> lock = true } }
inline give_lock() { lock = false }

/* look_whether_stuck(); the lock is held. Others are asked one after the other.
 */
inline look()
{
  if
  :: nresting == nmembers ->
     k = 0;
     any = false;
#ifndef BUG_NEWS /* nobody is asked */
     do
     :: k < MEMBERS -> any = any || (!left[k] && news[k] > 0); k++
     :: k == MEMBERS -> break
     od;
#endif
     k = 0;
     if
     :: !any -> stuck = true; rung[0] = true
     :: any
     fi;
     any = false
  :: nresting != nmembers
  fi
}

/* Sends a message to a member that has not left: puts it there, then wakes. */
inline send()
{
  atomic {
    select(k : 0 .. MEMBERS - 1);
    if
    :: !left[k] && nsent < SENDS -> nsent++; news[k]++
    :: else -> k = MEMBERS
    fi
  };
  if
  :: k < MEMBERS -> rung[k] = true
  :: k == MEMBERS
  fi;
  k = 0
}

/* Does what a message says: it may send others. */
inline use()
{
  busy[i] = true;
  if
  :: send()
  :: send(); send()
  :: true
  fi;
  busy[i] = false
}

inline rise()
{
  take_lock();
  if
  :: rests[i] -> rests[i] = false; nresting--
  :: !rests[i]
  fi;
  any = stuck && i == 0;
  stuck = false;
  give_lock()
}

proctype member(byte i)
{
  byte k;
  bool any;
  if
  :: i == 0 -> send() /* it begins with something to do */
  :: i != 0
  fi;
  do
  :: /* the loop runs */
     do
     :: atomic { news[i] > 0 -> news[i]--; busy[i] = true }; use()
     :: news[i] == 0 -> break
     od;
     if
     :: i == MEMBERS - 1 -> /* it may be asked to end */
        take_lock();
        atomic {
          if
          :: news[i] == 0 -> left[i] = true; nmembers--
          :: true
          fi
        };
        if
#ifndef BUG_LEAVE /* who leaves does not look */
        :: left[i] -> look(); give_lock(); break
#else
        :: left[i] -> give_lock(); break
#endif
        :: !left[i] -> give_lock()
        fi
     :: true
     fi;
     /* uj_member_rest() */
     take_lock();
     rests[i] = true;
     nresting++;
#ifdef BUG_LOOK /* only the founder looks */
     if
     :: i == 0 -> look()
     :: i != 0
     fi;
#else
     look();
#endif
     give_lock();
     /* uj_outside_wait() */
end_wait:
     if
     :: news[i] > 0
     :: rung[i] -> rung[i] = false
     :: atomic { !woken_in_vain -> woken_in_vain = true }
     fi;
#ifdef BUG_RISE /* it hears before it has risen */
     if
     :: atomic { news[i] > 0 -> news[i]--; busy[i] = true }; rise(); use(); any = false
     :: news[i] == 0 -> rise()
     fi;
#else
     rise();
#endif
     if
     :: any ->
        assert(i == 0);
        atomic {
          any = false;
          for (k : 0 .. MEMBERS - 1) {
            assert(left[k] || (news[k] == 0 && !busy[k]))
          }
          heard = true
        };
        break
     :: !any
     fi
  od
}

init
{
  byte n;
  atomic {
    for (n : 0 .. MEMBERS - 1) {
      run member(n)
    }
  }
}

ltl told { <> heard }
